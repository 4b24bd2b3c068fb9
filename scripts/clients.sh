#!/usr/bin/env bash
# Lets other people's clients use "ustack serve smb", in a lab of its own, and prints a table:
# the Linux kernel's cifs (a Debian kernel in qemu, without KVM, whose TAP and the server's
# are on one bridge) and impacket, in each dialect, plain and encrypted.
#
#   clients.sh [--out DIR] [cifs|impacket ...]
#
# Each client writes a file, reads it back and compares it, lists, renames, and deletes. With --out,
# what they said is kept. It ends with 1 if one failed that should not. Installs what is missing.
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"

out= clients=()
while [[ $# -gt 0 ]]; do
	case $1 in
	--out) out=${2:?--out wants a directory} && shift ;;
	-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit ;;
	cifs | impacket) clients+=("$1") ;;
	*) echo "$0: no client $1; see --help" >&2 && exit 2 ;;
	esac
	shift
done
[[ ${#clients[@]} -gt 0 ]] || clients=(impacket cifs)
need_lab
make_lab "$(mktemp -d)"
out=${out:-$work/out}
mkdir -p "$out" "$work/share"
exec_in=("$root/scripts/lab.sh" -n "$lab" exec client) # for timeout, which runs no function
failed=0
row() { # CLIENT HOW RESULT
	printf '%-12s %-24s %s\n' "$@"
	[[ $3 == ok* || $3 == skipped* ]] || failed=1
}

"$work/ustack" smb user add --user-file "$work/users" --password secret-1 tester >/dev/null
start_server client "$out/server.log" smb --addr 10.77.0.2/24 --share "share=$work/share" --user-file "$work/users" --min-protocol NT1

run_impacket() {
	local dialect python=/usr/bin/python3 # Debian's, whose packages it sees
	$python -c 'import impacket' 2>/dev/null || install_package python3-impacket clients.sh
	$python -c 'import impacket' || { row impacket - "FAILED: it is not there"; return; }
	for dialect in 2.0.2 2.1 3.0; do # its 3.1.1 signs wrongly when it logs on with a password, at every server
		if timeout 60 "${exec_in[@]}" $python "$root/scripts/clients-impacket.py" 10.77.0.2 "$dialect" >"$out/impacket-$dialect" 2>&1; then
			row impacket "$dialect" ok
		else
			row impacket "$dialect" "FAILED: $(tail -n 1 "$out/impacket-$dialect")"
		fi
	done
}

# make_guest makes a kernel and a file system of busybox, the modules of cifs and scripts/clients-cifs.sh.
make_guest() {
	need qemu-system-x86_64 qemu-system-x86
	need busybox busybox-static
	need cpio cpio
	need depmod kmod
	local g=$work/guest package version
	package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ {print $2; exit}')
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" && dpkg -x "$package"_*.deb "$work/kernel")
	version=${package#linux-image-}
	mkdir -p "$g"/{bin,proc,sys,dev,mnt,tmp} "$g/lib/modules/$version"
	cp "$(command -v busybox)" "$g/bin/busybox"
	cp "$root/scripts/clients-cifs.sh" "$g/init"
	(
		cd "$work/kernel/lib/modules/$version"
		cp --parents -r modules.builtin modules.order modules.builtin.modinfo kernel/crypto kernel/arch/x86/crypto kernel/lib \
			kernel/fs/smb kernel/fs/netfs kernel/fs/fscache kernel/fs/nls kernel/drivers/virtio kernel/drivers/net kernel/net/core kernel/net/dns_resolver "$g/lib/modules/$version/"
	)
	depmod -b "$g" "$version"
	(cd "$g" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"
}

run_cifs() {
	if [[ $(uname -m) != x86_64 ]] || ! command -v apt-get >/dev/null; then
		row cifs - "skipped: wants Debian on x86-64, for its kernel"
		return
	fi
	make_guest
	# One bridge for the server's TAP and the guest's.
	local ns=ustack-$lab-c
	ip -n "$ns" link add br0 type bridge
	ip -n "$ns" tuntap add dev guest0 mode tap vnet_hdr
	ip -n "$ns" link set guest0 master br0 up
	ip -n "$ns" link set ustack0 master br0
	ip -n "$ns" link set br0 up
	timeout -k 5 200 "${exec_in[@]}" qemu-system-x86_64 -accel tcg -cpu max -m 512 -display none -no-reboot -serial stdio \
		-kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1" \
		-netdev tap,id=n,ifname=guest0,script=no,downscript=no -device virtio-net-pci,netdev=n </dev/null >"$out/cifs" 2>&1 || true
	local line seen=
	while IFS= read -r line; do
		seen=1
		row cifs "${line%%:*}" "${line#*: }"
	done < <(tr -d '\r' <"$out/cifs" | sed -n 's/^CLIENT //p')
	grep -q '^CLIENTS DONE' "$out/cifs" || row cifs - "FAILED: the guest did not come to an end${seen:+ of all}"
}

printf '%-12s %-24s %s\n' client how result
for c in "${clients[@]}"; do
	"run_$c"
	rm -rf "$work/share"/*
done
kill -0 "$child" 2>/dev/null || { echo "the server has ended" >&2; failed=1; }
exit "$failed"
