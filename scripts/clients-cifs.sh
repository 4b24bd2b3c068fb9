#!/bin/busybox sh
# The first process of the guest that scripts/clients.sh starts: mounts the share in each
# dialect, and says how that went.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ln -s /bin /sbin 2>/dev/null
for m in virtio_pci virtio_net cifs ccm gcm cmac; do modprobe $m; done
ip link set eth0 up
ip addr add 10.77.0.9/24 dev eth0
dd if=/dev/urandom of=/tmp/file bs=1000 count=7001 2>/dev/null

try() { # OPTIONS
	local o="ip=10.77.0.2,username=tester,password=secret-1,$1" d=/mnt/dir
	mount -t cifs //10.77.0.2/share /mnt -o "$o" || { echo "mount failed"; return; }
	mkdir $d && cp /tmp/file $d/file && sync || { echo "no copy"; umount /mnt; return; }
	umount /mnt && mount -t cifs //10.77.0.2/share /mnt -o "$o" || { echo "second mount failed"; return; }
	cmp /tmp/file $d/file || { echo "other bytes"; umount /mnt; return; }
	mv $d/file $d/moved && [ "$(ls $d)" = moved ] || { echo "no rename, or another listing"; umount /mnt; return; }
	[ "$(stat -c %s $d/moved)" = 7001000 ] || { echo "another size"; umount /mnt; return; }
	echo tail >>$d/moved && truncate -s 7000000 $d/moved && [ "$(stat -c %s $d/moved)" = 7000000 ] || { echo "no append or truncate"; umount /mnt; return; }
	for i in 1 2 3 4 5 6 7 8 9; do echo $i >$d/n$i; done
	all= # not by cat into a pipe: its sendfile from cifs hangs in this kernel
	for f in $d/n*; do read n <$f && all=$all$n; done
	[ "$all" = 123456789 ] || { echo "small files have other bytes"; umount /mnt; return; }
	rm -r $d && [ -z "$(ls /mnt)" ] || { echo "not deleted"; umount /mnt; return; }
	umount /mnt && echo ok || echo "no umount"
}
for o in vers=1.0 vers=1.0,sec=ntlmsspi vers=1.0,sec=ntlmv2 vers=2.0 vers=2.1 vers=3.0 vers=3.0,seal vers=3.1.1 vers=3.1.1,seal vers=3.1.1,sec=ntlmsspi vers=2.1,sec=ntlmsspi; do
	echo "CLIENT $o: $(try $o 2>&1 | tr '\n' ' ')"
done
echo "CLIENTS DONE"
poweroff -f
