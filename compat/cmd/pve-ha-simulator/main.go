// Command pve-ha-simulator is a cluster to play with in the browser.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pveha/compat/playground"
)

const usage = `usage: pve-ha-simulator [--listen ADDRESS] [--no-browser] [DIR]

Shows a simulated cluster in the browser. DIR is a scenario, a working folder of
the original's simulator, or the folder of an earlier session; it is made when it
is not there, and everything that happens is kept in it. Without it a new folder
is made for a fresh cluster of three nodes and six guests.

  --listen ADDRESS   host and port to listen on (default 127.0.0.1:0: this
                     machine alone, and a free port)
  --no-browser       only print the address
`

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	dir, listen string
	browser     bool
}

// run is the command: arguments in, exit status out.
func run(args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "pve-ha-simulator: %v (see pve-ha-simulator --help)\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := serve(ctx, opts, stdout); err != nil {
		fmt.Fprintln(stderr, "pve-ha-simulator:", err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("pve-ha-simulator", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would say more than one line
	listen := flags.String("listen", "127.0.0.1:0", "")
	quiet := flags.Bool("no-browser", false, "")
	// Options may stand behind the folder as well.
	var folders []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return options{}, err
		}
		if args = flags.Args(); len(args) > 0 {
			folders, args = append(folders, args[0]), args[1:]
		}
	}
	if len(folders) > 1 {
		return options{}, fmt.Errorf("one folder holds the session, not %d", len(folders))
	}
	if _, _, err := net.SplitHostPort(*listen); err != nil {
		return options{}, fmt.Errorf("--listen wants HOST:PORT: %w", err)
	}
	opts := options{listen: *listen, browser: !*quiet}
	if len(folders) == 1 {
		opts.dir = folders[0]
	}
	return opts, nil
}

// folder returns the folder of the session, and makes it if need be.
func folder(opts options) (string, error) {
	if opts.dir != "" {
		return opts.dir, os.MkdirAll(opts.dir, 0o755)
	}
	parent := os.Getenv("XDG_STATE_HOME")
	if parent == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for a new session: %w; name a folder", err)
		}
		parent = filepath.Join(home, ".local", "state")
	}
	return playground.MakeFolder(filepath.Join(parent, "pve-ha-simulator"), time.Now())
}

// serve lets a session pass and serves its page until the context ends.
func serve(ctx context.Context, opts options, stdout io.Writer) error {
	dir, err := folder(opts)
	if err != nil {
		return err
	}
	session, err := playground.Open(dir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.listen)
	if err != nil {
		return errors.Join(err, session.Close())
	}
	host, _, _ := net.SplitHostPort(opts.listen) // parse has checked it
	pages := playground.NewServer(session, names(host)...)
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		session.Run(ctx)
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	address := "http://" + address(host, listener.Addr()) + pages.Path()
	fmt.Fprintf(stdout, "The cluster is at %s\nIt is kept in %s; end it with Ctrl-C.\n", address, dir)
	if !loopback(listener.Addr()) {
		fmt.Fprintln(stdout, "Everybody who is told this address and reaches this machine can use it.")
	}
	if opts.browser {
		openBrowser(address)
	}
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	cancel()
	pages.Close()
	<-passed
	last, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	return errors.Join(err, server.Shutdown(last), session.Close())
}

// loopback reports whether only this machine reaches an address.
func loopback(listening net.Addr) bool {
	tcp, ok := listening.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// names are the host names by which a server that others may reach is called.
func names(host string) []string {
	all := []string{strings.ToLower(host)}
	if own, err := os.Hostname(); err == nil {
		all = append(all, strings.ToLower(own))
	}
	return all
}

// address is how the page is reached from this machine.
func address(host string, listening net.Addr) string {
	_, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return listening.String()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// openBrowser shows the page where there is a desktop. Without one the address
// that was printed is enough.
func openBrowser(address string) {
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	cmd := exec.Command("xdg-open", address)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
