# Sourced by the scripts: installs what is missing, where there is a package
# manager that it knows, and says what to install where there is not.

PATH=$PATH:/usr/sbin:/sbin # of root's that su leaves out

# install_package PACKAGE WHAT-FOR: does nothing where that can't be done.
install_package() {
	[[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 0
	echo "installing $1 for $2" >&2
	[[ -n ${ustack_apt_updated:-} ]] || apt-get update -qq >/dev/null
	ustack_apt_updated=1
	(
		# What a package would have serve this machine, as Samba's does, is not started,
		# now or at the next boot.
		policy=/usr/sbin/policy-rc.d
		if [[ ! -e $policy ]]; then
			trap 'rm -f "$policy"' EXIT
			printf '#!/bin/sh\nexit 101\n' >"$policy"
			chmod +x "$policy"
		fi
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null </dev/null
		[[ $1 != samba ]] || ! command -v systemctl >/dev/null || systemctl disable --quiet --now smbd nmbd samba-ad-dc 2>/dev/null || true
	)
}

# need COMMAND PACKAGE
need() {
	command -v "$1" >/dev/null && return
	install_package "$2" "$1"
	command -v "$1" >/dev/null || { echo "needs $1: install $2" >&2; exit 1; }
}

# want is need, but goes on without.
want() {
	command -v "$1" >/dev/null && return
	install_package "$2" "$1" || true
	command -v "$1" >/dev/null || echo "goes on without $1; to have it, install $2" >&2
}

need_go() {
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
	command -v go >/dev/null || { echo "needs Go 1.26 or later: see https://go.dev/doc/install" >&2; exit 1; }
}
