package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"time"
)

// An authority vouches for certificates of the suite's own.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() authority {
	key := newKey()
	number := nextSerial()
	template := &x509.Certificate{
		SerialNumber:          number,
		Subject:               pkix.Name{CommonName: fmt.Sprint("rim authority ", number)},
		NotBefore:             time.Now().Add(-24 * time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	return authority{signed(template, template, key, key), key}
}

// issue makes a certificate for a server or a client on this machine, that expires in a while, or did so a
// while ago.
func (a *authority) issue(expires time.Duration) *tls.Certificate {
	key := newKey()
	number := nextSerial()
	template := &x509.Certificate{
		SerialNumber: number,
		Subject:      pkix.Name{CommonName: fmt.Sprint("rim ", number)},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().Add(expires),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leaf := signed(template, a.certificate, key, a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

func certificatePEM(of tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: of.Certificate[0]})
}

func keyPEM(of tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(of.PrivateKey))})
}

func newKey() *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func signed(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	raw := must(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey))
	return must(x509.ParseCertificate(raw))
}

// must is for what fails for no input of ours.
func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}
