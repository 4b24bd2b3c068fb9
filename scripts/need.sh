# Sourced by the scripts: installs what is missing, where there is a package
# manager that it knows, and says what to install where there is not.

# install_package PACKAGE WHAT-FOR: does nothing where that can't be done.
install_package() {
	[[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 0
	echo "installing $1 for $2" >&2
	[[ -n ${ustack_apt_updated:-} ]] || apt-get update -qq >/dev/null
	ustack_apt_updated=1
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null </dev/null
}

# need COMMAND PACKAGE
need() {
	command -v "$1" >/dev/null && return
	install_package "$2" "$1"
	command -v "$1" >/dev/null || { echo "needs $1: install $2" >&2; exit 1; }
}

need_go() {
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
	command -v go >/dev/null || { echo "needs Go 1.26 or later: see https://go.dev/doc/install" >&2; exit 1; }
}
