package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	// How often the certificate is replaced.
	renewals = 5
	// How soon the new one must be shown.
	shownWithin = 5 * time.Second
)

// certificatesSuite replaces the server's certificate under load, by a good one and by bad ones, and looks
// at who is let in.
func certificatesSuite(ctx context.Context, config config) table {
	t := table{
		title: "Certificates",
		about: fmt.Sprintf("grpc-go over TLS with client certificates, 200 calls a second, one in twenty of them "+
			"on a connection of its own. No call may fail. A new certificate must be shown within %s; of a bad one "+
			"the log must tell as soon, and the old one stay. Who isn't let in must hear a TLS alert, and no more.",
			shownWithin),
		columns: []string{"what", "found"},
	}
	volume, err := newVolume()
	if err != nil {
		return t.broken(err)
	}
	defer volume.remove()
	upstream, err := startUpstream()
	if err != nil {
		return t.broken(err)
	}
	defer upstream.stop()
	f, err := startFacade(config.facade, "serve", "--listen", "127.0.0.1:0", "--log-format", "json",
		"--upstream-url", upstream.url, "--upstream-limit", "none", "--tls-cert", volume.path("cert.pem"),
		"--tls-key", volume.path("key.pem"), "--tls-client-ca", volume.path("ca.pem"))
	if err != nil {
		return t.broken(err)
	}
	defer f.kill()
	client := volume.client(volume.authority.issue(time.Hour))
	load, err := startTLSLoad(ctx, f.address, client)
	if err != nil {
		return t.broken(err)
	}

	for number := range renewals {
		r := row{cells: []string{fmt.Sprintf("good certificate %d", number+1)}}
		serial, err := volume.renew()
		r.need(err == nil, "%v", err)
		took := until(ctx, shownWithin, func() bool { return shown(f.address, client) == serial })
		r.add("shown after %s", secs(took))
		r.need(took < shownWithin, "the new one wasn't shown")
		t.take(r)
	}
	for _, bad := range []string{"garbage", "another key", "expired"} {
		r := row{cells: []string{"bad certificate: " + bad}}
		before := shown(f.address, client)
		err := volume.spoil(bad)
		r.need(err == nil, "%v", err)
		var alarms []string
		took := until(ctx, shownWithin, func() bool {
			alarms = append(alarms, f.takeAlarms()...)
			return len(alarms) > 0
		})
		r.add("reported after %s", secs(took))
		r.need(took < shownWithin, "it wasn't reported")
		r.need(shown(f.address, client) == before, "the old one wasn't shown any more")
		pause(ctx, 2*time.Second)
		alarms = append(alarms, f.takeAlarms()...)
		r.need(len(alarms) == 1, "reported %d times: %q", len(alarms), alarms)
		t.take(r)
	}
	for _, guest := range []struct {
		name   string
		config *tls.Config
	}{
		{"no certificate", volume.client(nil)},
		{"expired certificate", volume.client(volume.authority.issue(-time.Hour))},
		{"certificate of another authority", volume.client(stranger())},
	} {
		r := row{cells: []string{"client with " + guest.name}}
		heard, said := refusal(f.address, guest.config)
		r.add("%v", heard)
		r.need(heard != nil && strings.Contains(heard.Error(), "remote error: tls:"), "no alert")
		r.need(said == 0, "%d bytes besides", said)
		t.take(r)
	}

	calls, failed := load.stop()
	r := row{cells: []string{"calls meanwhile"}}
	r.add("%d, %d failed", calls, len(failed))
	r.need(calls > 0, "there were none")
	r.need(len(failed) == 0, "%v", first(failed))
	r.need(f.alive(), "the server ended")
	t.take(r)
	return t
}

// tlsLoad calls over TLS until it is stopped.
type tlsLoad struct {
	end    context.CancelFunc
	all    sync.WaitGroup
	calls  atomic.Int64
	mutex  sync.Mutex
	failed []string
}

func startTLSLoad(ctx context.Context, address string, config *tls.Config) (*tlsLoad, error) {
	dial := func() (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+address,
			grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	}
	lasting, err := dial()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	l := &tlsLoad{end: end}
	l.all.Go(func() {
		defer lasting.Close()
		var under sync.WaitGroup
		defer under.Wait()
		for due := time.Now(); ctx.Err() == nil; due = due.Add(5 * time.Millisecond) {
			pause(ctx, time.Until(due))
			number := l.calls.Add(1)
			under.Go(func() {
				on := lasting
				if number%20 == 0 {
					own, err := dial()
					if err != nil {
						l.fail(err)
						return
					}
					defer own.Close()
					on = own
				}
				if err := call(context.Background(), on, callID, 5*time.Second); err != nil {
					l.fail(err)
				}
			})
		}
	})
	return l, nil
}

func (l *tlsLoad) fail(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.failed = append(l.failed, time.Now().Format("15:04:05.000 ")+err.Error())
}

func (l *tlsLoad) stop() (int64, []string) {
	l.end()
	l.all.Wait()
	return l.calls.Load(), l.failed
}

// until waits for something to come true, and says how long that took.
func until(ctx context.Context, patience time.Duration, isTrue func() bool) time.Duration {
	began := time.Now()
	for !isTrue() && time.Since(began) < patience && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// shown is the serial number of the certificate that a new connection is shown.
func shown(address string, config *tls.Config) string {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// refusal is what a client hears that sends its preface at once, and how many bytes it is sent.
func refusal(address string, config *tls.Config) (error, int) {
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err, 0
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	said := make([]byte, 1024)
	length, err := connection.Read(said)
	return err, length
}

// A volume is a folder as Kubernetes mounts it: its files are links into a folder, which is a link that is
// swapped.
type volume struct {
	folder    string
	authority authority
	current   tls.Certificate
	versions  int
}

func newVolume() (*volume, error) {
	folder, err := os.MkdirTemp("", "rim-")
	if err != nil {
		return nil, err
	}
	v := &volume{folder: folder, authority: newAuthority()}
	for _, name := range []string{"cert.pem", "key.pem", "ca.pem"} {
		if err := os.Symlink(filepath.Join("..data", name), v.path(name)); err != nil {
			return nil, err
		}
	}
	_, err = v.renew()
	return v, err
}

func (v *volume) remove() { os.RemoveAll(v.folder) }

func (v *volume) path(name string) string { return filepath.Join(v.folder, name) }

// renew puts a new certificate there, and gives its serial number.
func (v *volume) renew() (string, error) {
	v.current = *v.authority.issue(time.Hour)
	return v.current.Leaf.SerialNumber.String(), v.put(certificatePEM(v.current), keyPEM(v.current))
}

// spoil puts one there that can't be used.
func (v *volume) spoil(how string) error {
	other := *v.authority.issue(time.Hour)
	switch how {
	case "another key":
		return v.put(certificatePEM(v.current), keyPEM(other))
	case "expired":
		other = *v.authority.issue(-time.Hour)
		return v.put(certificatePEM(other), keyPEM(other))
	default:
		return v.put([]byte(how), keyPEM(other))
	}
}

func (v *volume) put(certificate, key []byte) error {
	v.versions++
	version := fmt.Sprint("..", v.versions)
	if err := os.Mkdir(v.path(version), 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"cert.pem": certificate, "key.pem": key, "ca.pem": v.authority.pem(),
	} {
		if err := os.WriteFile(v.path(filepath.Join(version, name)), content, 0o600); err != nil {
			return err
		}
	}
	if err := os.Symlink(version, v.path("..swap")); err != nil {
		return err
	}
	return os.Rename(v.path("..swap"), v.path("..data"))
}

// client is a client that trusts the authority and shows a certificate, if it has one.
func (v *volume) client(own *tls.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: x509.NewCertPool(), NextProtos: []string{"h2"}}
	config.RootCAs.AddCert(v.authority.certificate)
	if own != nil {
		// Whatever the server says whom it trusts.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own, nil
		}
	}
	return config
}

func stranger() *tls.Certificate {
	other := newAuthority()
	return other.issue(time.Hour)
}

// serial numbers certificates.
var serial atomic.Int64

func nextSerial() *big.Int { return big.NewInt(serial.Add(1)) }
