package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rungbot/rung/internal/githubemu"
)

// How many webhooks are posted to measure the intake, and how many at a time.
const (
	deliveries = 1000
	posters    = 8
)

// intake posts webhooks as fast as they are taken: signature, durable, 202.
func (c *caller) intake(ctx context.Context) error {
	if c.rest {
		return nil
	}
	all := c.Emulator().Deliveries()
	i := slices.IndexFunc(all, func(d githubemu.Delivery) bool { return d.Event == "status" })
	if i < 0 {
		return errors.New("no status event was delivered that could be posted again")
	}
	secret, err := os.ReadFile(filepath.Join(c.Dir, "keys", "webhook-secret"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, bytes.TrimSpace(secret))
	_, _ = mac.Write(all[i].Payload)
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: posters}}
	defer client.CloseIdleConnections()
	took := make([]time.Duration, deliveries)
	var next atomic.Int64
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range posters {
		group.Go(func() error {
			for n := next.Add(1) - 1; n < deliveries; n = next.Add(1) - 1 {
				at := time.Now()
				if err := c.post(ctx, client, fmt.Sprintf("00000000-0000-4000-8000-%012d", n), signature, all[i]); err != nil {
					return err
				}
				took[n] = time.Since(at)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	rate := deliveries / time.Since(began).Seconds()
	slices.Sort(took)
	c.inform("webhooks taken per second: signature, durable, 202", "/s", rate,
		fmt.Sprintf("%d posted by %d at a time; p50 %d ms, p99 %d ms", deliveries, posters, took[deliveries/2].Milliseconds(), took[deliveries*99/100].Milliseconds()))
	return nil
}

// post posts one delivery; anything but a 202 is an error.
func (c *caller) post(ctx context.Context, client *http.Client, guid, signature string, d githubemu.Delivery) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BoardURL+"/github/webhook", bytes.NewReader(d.Payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", d.Event)
	req.Header.Set("X-GitHub-Delivery", guid)
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("a webhook was answered with %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
