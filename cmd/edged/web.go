package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// web serves health and metrics on a loopback address.
type web struct {
	listener net.Listener
	server   *http.Server
}

// check is one thing that health is made of.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// listen starts serving; an empty address means not to.
func listen(addr string, d *daemon) (*web, error) {
	if addr == "" {
		return &web{}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(exitConnect, fmt.Errorf("serve metrics and health: %w; choose another address with http.listen, or leave it empty", err))
	}
	w := &web{listener: listener, server: &http.Server{Handler: d.handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: nil}}
	go func() {
		if err := w.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics and health are not served any more", "err", err)
		}
	}()
	d.log.Info("serving metrics and health", "url", "http://"+listener.Addr().String())
	return w, nil
}

// addr is where it listens, "" when it does not.
func (w *web) addr() string {
	if w.listener == nil {
		return ""
	}
	return w.listener.Addr().String()
}

// close gives requests under way a moment.
func (w *web) close() {
	if w.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.server.Close()
	}
}

// registry returns all metrics of the process.
func (d *daemon) registry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&metrics{d: d}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

func (d *daemon) handler() http.Handler {
	registry := d.registry()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.health()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, d.readiness()) })
	return mux
}

// health is about this process: restarting it helps when a check fails.
func (d *daemon) health() []check {
	blocked := d.engine.Stats().OutboxBlocked.Load()
	store := check{Name: "store", OK: true, Detail: fmt.Sprintf("%d commits", d.store.Stats().Commits)}
	if blocked {
		store.Detail += "; the outbox is full and the intake waits"
	}
	return []check{{Name: "process", OK: true}, store}
}

// readiness is about input: does it arrive and is it taken?
func (d *daemon) readiness() []check {
	source := check{Name: "source", OK: d.inlet.Connected()}
	if !source.OK {
		source.Detail = d.inlet.Stats().LastError
	}
	return []check{{Name: "recovered", OK: d.ready()}, source, {Name: "not draining", OK: !d.draining.Load()}}
}

// answer writes checks as JSON, with status 503 when one failed.
func answer(w http.ResponseWriter, checks []check) {
	body := struct {
		Status string  `json:"status"`
		Checks []check `json:"checks"`
	}{"ok", checks}
	code := http.StatusOK
	for _, c := range checks {
		if !c.OK {
			body.Status, code = "failing", http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	// The client may be gone.
	_ = json.NewEncoder(w).Encode(body)
}
