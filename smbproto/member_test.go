package smbproto

import (
	"crypto/hmac"
	"crypto/md5"
	"strings"
	"testing"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// member is a client that logs on with a password, and has the keys of that.
type member struct {
	*peer
	dialect wire.Dialect
	preauth crypt.Preauth // of the negotiation
	key     []byte        // Session.SigningKey
	signer  *crypt.Signer // of this channel
	seal    *sealedPeer
}

// newMember connects to a new server.
func newMember(t testing.TB, change func(*Config), d wire.Dialect) *member {
	t.Helper()
	dir := t.TempDir()
	return memberOf(t, newServerIn(t, dir, change), dir, d)
}

func memberOf(t testing.TB, srv *Server, dir string, d wire.Dialect) *member {
	t.Helper()
	return (&member{peer: connect(t, srv, dir)}).negotiate(d)
}

// another connects to the same server.
func (m *member) another() *member {
	m.t.Helper()
	return memberOf(m.t, m.srv, m.dir, m.dialect)
}

func (m *member) negotiate(d wire.Dialect) *member {
	m.t.Helper()
	m.dialect = d
	msg := m.negotiateMsg(uint16(d))
	if d == wire.Dialect311 {
		m.message--
		msg = m.negotiate311Msg(crypt.AES128GCM)
	}
	if d >= wire.Dialect300 {
		le.PutUint32(msg[72:], wire.CapabilityEncryption)
	}
	m.preauth.Add(msg)
	m.preauth.Add(m.want(msg, wire.StatusOK))
	return m
}

func (m *member) algorithm() crypt.SigningAlgorithm {
	if m.dialect < wire.Dialect300 {
		return crypt.HMACSHA256
	}
	return crypt.AESCMAC
}

func (m *member) signerOf(key []byte) *crypt.Signer {
	m.t.Helper()
	s, err := crypt.NewSigner(m.algorithm(), key)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// sign signs a message with the channel's key.
func (m *member) sign(msg []byte) []byte { return signWith(m.t, m.signer, msg) }

func signWith(t testing.TB, s *crypt.Signer, msg []byte) []byte {
	t.Helper()
	h := wire.Header(msg)
	h.PutFlags(h.Flags() | wire.FlagSigned)
	if err := s.Sign(msg); err != nil {
		t.Fatal(err)
	}
	return msg
}

// logOn begins a session; its answer must bear the right signature.
func (m *member) logOn(name, password string) *member {
	m.t.Helper()
	hash := m.preauth
	step := func(token []byte) []byte {
		msg := m.setupMsg(token)
		hash.Add(msg)
		return m.ask(msg)
	}
	r := step(ntlmNegotiate())
	hash.Add(r)
	m.session = wire.Header(r).SessionID()
	token, key := ntlmAuthenticate(r[wire.SessionSetupFixed:], name, password)
	r = step(token)
	if status(r) != wire.StatusOK {
		m.t.Fatalf("log-on: %v", status(r))
	}
	m.setKeys(hash, key)
	if !m.signer.Verify(r) {
		m.t.Fatal("the answer to the log-on does not bear the right signature")
	}
	m.key = m.keyOf(hash, key)
	return m
}

func (m *member) keyOf(hash crypt.Preauth, key [16]byte) []byte {
	if m.dialect < wire.Dialect300 {
		return key[:]
	}
	return crypt.DeriveKeys(crypt.Parameters{Dialect: m.dialect, Cipher: m.c.protection.cipher, Preauth: hash}, key).Signing
}

func (m *member) setKeys(hash crypt.Preauth, key [16]byte) {
	m.t.Helper()
	m.signer = m.signerOf(m.keyOf(hash, key))
	cipher := m.c.protection.cipher
	if m.dialect < wire.Dialect300 || cipher == 0 {
		return
	}
	keys := crypt.DeriveKeys(crypt.Parameters{Dialect: m.dialect, Cipher: cipher, Preauth: hash}, key)
	var err error
	m.seal = &sealedPeer{p: m.peer}
	if m.seal.sealer, err = crypt.NewSealer(cipher, keys.Decryption, m.session); err != nil {
		m.t.Fatal(err)
	}
	if m.seal.opener, err = crypt.NewOpener(cipher, keys.Encryption); err != nil {
		m.t.Fatal(err)
	}
}

// binding is how a client asks for a channel.
type binding struct {
	name, password string
	key            []byte // that signs the request; nil: the session's own
	unsigned       bool
}

// bind asks for a channel of the session of of, and returns what comes of it. Every answer to a signed request must be
// signed: by the session's key, or at last by the channel's.
func (m *member) bind(of *member, b binding) wire.Status {
	m.t.Helper()
	m.session, m.tree, m.key = of.session, of.tree, of.key
	key := b.key
	if key == nil {
		key = of.key
	}
	hash := m.preauth
	step := func(token []byte) []byte {
		msg := m.setupMsg(token)
		msg[66] = wire.SessionBinding
		if !b.unsigned {
			signWith(m.t, of.signerOf(key), msg)
		}
		hash.Add(msg)
		return m.ask(msg)
	}
	r := step(ntlmNegotiate())
	if status(r) != wire.StatusMoreProcessingRequired {
		return status(r)
	}
	if !of.signerOf(of.key).Verify(r) {
		m.t.Error("the challenge is not signed with the session's key")
	}
	hash.Add(r)
	token, sessionKey := ntlmAuthenticate(r[wire.SessionSetupFixed:], b.name, b.password)
	r = step(token)
	if status(r) != wire.StatusOK {
		if !of.signerOf(of.key).Verify(r) {
			m.t.Error("the refusal is not signed with the session's key")
		}
		return status(r)
	}
	m.signer = m.signerOf(m.keyOf(hash, sessionKey))
	if !m.signer.Verify(r) {
		m.t.Error("the answer is not signed with the channel's key")
	}
	if of.seal != nil {
		m.seal = &sealedPeer{p: m.peer, sealer: of.seal.sealer.Another(), opener: of.seal.opener.Another()}
	}
	return wire.StatusOK
}

// mustBind makes the connection a channel of the session of of.
func (m *member) mustBind(of *member) *member {
	m.t.Helper()
	if s := m.bind(of, binding{name: "alice", password: "secret"}); s != wire.StatusOK {
		m.t.Fatalf("binding: %v", s)
	}
	return m
}

func (m *member) treeOf(share string) *member {
	m.t.Helper()
	m.tree = wire.Header(m.want(m.sign(m.treeMsg(`\\server\`+share)), wire.StatusOK)).TreeID()
	return m
}

// ntlmAuthenticate answers a challenge with NTLMv2, MS-NLMP 3.3.2, and says what the session key becomes.
func ntlmAuthenticate(challenge []byte, name, password string) (msg []byte, key [16]byte) {
	mac := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(md5.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	hash := auth.NTHash(password)
	owf := mac(hash[:], utf16le(strings.ToUpper(name)))
	n, at := int(le.Uint16(challenge[40:])), int(le.Uint32(challenge[44:]))
	blob := append([]byte{1, 1}, make([]byte, 26)...)
	blob = append(append(blob, challenge[at:at+n]...), 0, 0, 0, 0)
	proof := mac(owf, challenge[24:32], blob)
	copy(key[:], mac(owf, proof))

	fields := [6][]byte{1: append(proof, blob...), 3: utf16le(name)} // LM, NT, domain, user, workstation, key
	msg = append([]byte("NTLMSSP\x00"), 3, 0, 0, 0)
	var payload []byte
	for _, f := range fields {
		msg = le.AppendUint16(msg, uint16(len(f)))
		msg = le.AppendUint16(msg, uint16(len(f)))
		msg = le.AppendUint32(msg, uint32(64+len(payload)))
		payload = append(payload, f...)
	}
	return append(le.AppendUint32(msg, 0x00088205), payload...), key
}
