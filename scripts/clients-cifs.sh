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

posix() { # OPTIONS of a mount that has the UNIX extensions
	local o="ip=10.77.0.2,username=tester,password=secret-1,$1" d=/mnt/dir
	mount -t cifs //10.77.0.2/share /mnt -o "$o" || { echo "mount failed"; return; }
	grep -q ' /mnt cifs .*,unix,posixpaths' /proc/mounts || { echo "no UNIX extensions: $(grep /mnt /proc/mounts)"; umount /mnt; return; }
	mkdir -m 750 $d && echo text >$d/file && chmod 4640 $d/file && ln $d/file $d/hard && echo other >$d/FILE || { echo "not made"; umount /mnt; return; }
	ln -s file $d/link && ln -s /etc/nowhere $d/out && mv $d/out $d/away || { echo "no links"; umount /mnt; return; }
	mkfifo $d/fifo 2>/dev/null && { echo "a FIFO was made"; umount /mnt; return; }
	umount /mnt && mount -t cifs //10.77.0.2/share /mnt -o "$o" || { echo "second mount failed"; return; }
	[ "$(stat -c '%a %F' $d)" = "750 directory" ] || { echo "another directory: $(stat -c '%a %F' $d)"; umount /mnt; return; }
	[ "$(stat -c '%a %h %s %F' $d/file)" = "640 2 5 regular file" ] || { echo "another file: $(stat -c '%a %h %s %F' $d/file)"; umount /mnt; return; }
	[ "$(readlink $d/link) $(readlink $d/away)" = "file /etc/nowhere" ] || { echo "other links"; umount /mnt; return; }
	read n <$d/link && [ "$n" = text ] || { echo "a link is not followed"; umount /mnt; return; }
	[ "$(stat -c '%s %F' $d/away)" = "12 symbolic link" ] || { echo "another link: $(stat -c '%s %F' $d/away)"; umount /mnt; return; }
	[ "$(ls $d | tr '\n' ' ')" = "FILE away file hard link " ] || { echo "another listing: $(ls $d)"; umount /mnt; return; }
	touch -d '2001-02-03 04:05:06' $d/file && [ "$(stat -c %Y $d/hard)" = "$(date -d '2001-02-03 04:05:06' +%s)" ] || { echo "no times"; umount /mnt; return; }
	echo new >$d/over && mv $d/over $d/FILE && read n <$d/FILE && [ "$n" = new ] || { echo "no rename onto another"; umount /mnt; return; }
	exec 3>>$d/hard && chmod 604 $d/file && echo more >&3 && exec 3>&- && [ "$(stat -c '%a %s' $d/hard)" = "604 10" ] || { echo "no mode of an open file"; umount /mnt; return; }
	echo open >$d/open && exec 3<$d/open && rm $d/open && echo again >$d/open && read n <&3 && exec 3<&- && [ "$n" = open ] && rm $d/open || { echo "no removal of an open file"; umount /mnt; return; }
	cp -a $d /mnt/copy && [ "$(readlink /mnt/copy/away) $(stat -c '%a %Y' /mnt/copy/FILE)" = "/etc/nowhere $(stat -c '%a %Y' $d/FILE)" ] || { echo "no copy with times"; umount /mnt; return; }
	rm -r /mnt/copy && chmod 444 $d/file && rm $d/away && rm -r $d && [ -z "$(ls /mnt)" ] || { echo "not deleted"; umount /mnt; return; }
	umount /mnt && echo ok || echo "no umount"
}
for o in vers=1.0 vers=1.0,nounix vers=1.0,sec=ntlmsspi vers=1.0,sec=ntlmv2 vers=2.0 vers=2.1 vers=3.0 vers=3.0,seal vers=3.1.1 vers=3.1.1,seal vers=3.1.1,sec=ntlmsspi vers=2.1,sec=ntlmsspi; do
	echo "CLIENT $o: $(try $o 2>&1 | tr '\n' ' ')"
done
echo "CLIENT vers=1.0 (POSIX): $(posix vers=1.0 2>&1 | tr '\n' ' ')"
echo "CLIENTS DONE"
poweroff -f
