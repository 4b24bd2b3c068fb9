#!/usr/bin/env bash
# The promise of "ustack serve smb --keytab": smbclient with a ticket of MIT's KDC, in a realm of the lab's own, is let in as its
# user, with each encryption type, signed and encrypted, until the ticket ends; without a ticket it is not.
set -euo pipefail
. "$(dirname "$0")/in-lab.sh"
need_lab
need smbclient smbclient
need krb5kdc krb5-kdc
need kadmin.local krb5-admin-server
need kinit krb5-user
fail() { echo "test-kerberos.sh: $*" >&2; exit 1; }

make_lab "$(mktemp -d)"
on_client() { (inside client "$@"); }
kdc=
stop_kdc() {
	[[ -z $kdc ]] || kill "$kdc" 2>/dev/null || true
	clean
}
trap stop_kdc EXIT

export KRB5_CONFIG=$work/krb5.conf KRB5_KDC_PROFILE=$work/kdc.conf KRB5CCNAME=FILE:$work/cache
cat >"$KRB5_CONFIG" <<TXT
[libdefaults]
	default_realm = LAB.TEST
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	rdns = false
[realms]
	LAB.TEST = {
		kdc = 127.0.0.1:8888
	}
[domain_realm]
	files.lab.test = LAB.TEST
TXT
cat >"$KRB5_KDC_PROFILE" <<TXT
[kdcdefaults]
	kdc_listen = 127.0.0.1:8888
	kdc_tcp_listen = 127.0.0.1:8888
[realms]
	LAB.TEST = {
		database_name = $work/principal
		key_stash_file = $work/stash
		acl_file = $work/acl
		supported_enctypes = aes256-cts-hmac-sha384-192:normal aes128-cts-hmac-sha256-128:normal aes256-cts:normal aes128-cts:normal
	}
TXT
kdb5_util create -s -r LAB.TEST -P master >/dev/null
kadmin.local -q "addprinc -pw secret alice" >/dev/null 2>&1
(inside client krb5kdc -n) >"$work/kdc.log" 2>&1 & # becomes krb5kdc
kdc=$!

mkdir "$work/share"
for etype in aes128-cts aes256-cts aes128-cts-hmac-sha256-128 aes256-cts-hmac-sha384-192; do
	kadmin.local -q "delprinc -force cifs/files.lab.test" >/dev/null 2>&1 || true
	kadmin.local -q "addprinc -randkey -e $etype:normal cifs/files.lab.test" >/dev/null 2>&1
	rm -f "$work/keytab" "$work/cache"
	kadmin.local -q "ktadd -k $work/keytab -e $etype:normal cifs/files.lab.test" >/dev/null
	start_server client "$work/log" smb --tap own0 --addr 10.79.0.2/24 --host-addr 10.79.0.1/24 --share "pub=$work/share" --keytab "$work/keytab" \
		--name FILES --min-protocol NT1
	for try in 1 2 3 4 5; do # the KDC may only be starting
		echo secret | on_client kinit alice >/dev/null 2>"$work/kinit" && break
		[[ $try -lt 5 ]] || fail "no ticket: $(cat "$work/kinit" "$work/kdc.log")"
		read -rt 0.5 <> <(:) || true
	done
	for protection in sign encrypt; do
		for protocol in NT1 SMB2_10 SMB3_02 SMB3_11; do
			[[ $protection == sign || $protocol == SMB3_* ]] || continue
			on_client smbclient //files.lab.test/pub -I 10.79.0.2 --use-kerberos=required --use-krb5-ccache="$work/cache" --client-protection=$protection \
				--option='client min protocol=NT1' --max-protocol=$protocol -c "put $work/krb5.conf $protection.$protocol" >"$work/out" 2>&1 || fail "$etype, $protection, $protocol: $(cat "$work/out" "$work/log")"
			cmp -s "$work/krb5.conf" "$work/share/$protection.$protocol" || fail "$etype: what was put is not there"
			rm "$work/share/$protection.$protocol"
		done
	done
	for cipher in AES-256-GCM AES-256-CCM; do
		on_client smbclient //files.lab.test/pub -I 10.79.0.2 --use-kerberos=required --use-krb5-ccache="$work/cache" --client-protection=encrypt \
			--option="client smb3 encryption algorithms=$cipher" -c ls >"$work/out" 2>&1 || fail "$etype, $cipher: $(cat "$work/out" "$work/log")"
	done
	grep -q 'user=alice domain=LAB.TEST' "$work/log" || fail "the user is another: $(cat "$work/log")"
	if [[ $etype == aes256-cts ]]; then
		echo secret | on_client kinit -l 5s alice >/dev/null
		{ read -rt 7 <> <(:) || true; echo ls; } | on_client smbclient //files.lab.test/pub -I 10.79.0.2 --use-kerberos=required --use-krb5-ccache="$work/cache" \
			>"$work/out" 2>&1 || true
		grep -q NT_STATUS_NETWORK_SESSION_EXPIRED "$work/out" || fail "the session outlives its ticket: $(cat "$work/out")"
	fi
	on_client smbclient //files.lab.test/pub -I 10.79.0.2 -U alice%secret --use-kerberos=off -c ls >"$work/out" 2>&1 && fail "who has no ticket was let in"
	stop_server
	echo "$etype: alice@LAB.TEST is alice"
done
