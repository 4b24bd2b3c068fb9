"""One round of impacket against a server: ADDRESS DIALECT. See scripts/clients.sh."""
import os
import sys

from impacket import smb3structs
from impacket.smbconnection import SMBConnection

address, dialect = sys.argv[1:]
codes = {
    "2.0.2": smb3structs.SMB2_DIALECT_002,
    "2.1": smb3structs.SMB2_DIALECT_21,
    "3.0": smb3structs.SMB2_DIALECT_30,
}
data = os.urandom(3_000_001)
c = SMBConnection(address, address, preferredDialect=codes[dialect])
c.login("tester", "secret-1")
if c.getDialect() != codes[dialect]:
    sys.exit(f"dialect {c.getDialect():#x}")
if "share" not in [s["shi1_netname"][:-1] for s in c.listShares()]:
    sys.exit("the share is not listed")
c.createDirectory("share", "dir")
at = 0


def piece(n):
    global at
    b = data[at : at + n]
    at += len(b)
    return b


c.putFile("share", "dir\\file", piece)
got = []
c.getFile("share", "dir\\file", got.append)
if b"".join(got) != data:
    sys.exit("other bytes")
c.rename("share", "dir\\file", "dir\\moved")
names = [f.get_longname() for f in c.listPath("share", "dir\\*")]
if sorted(names) != [".", "..", "moved"]:
    sys.exit(f"listed {names}")
c.deleteFile("share", "dir\\moved")
c.deleteDirectory("share", "dir")
c.logoff()
