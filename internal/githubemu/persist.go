package githubemu

import (
	"encoding/json"
	"fmt"
	"io"
)

// Save writes the world as JSON: everything but the repositories' objects and
// refs, which their store keeps, and the program's own settings (faults,
// limits, counts). It holds secrets of this world.
func (s *Server) Save(to io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(to).Encode(s.w); err != nil {
		return fmt.Errorf("githubemu: save: %w", err)
	}
	return nil
}

// Load replaces the world by a saved one. The repositories must be in the
// store. The App under test keeps the key, secret and webhook URL of Config;
// webhooks that had not been delivered are queued again.
func (s *Server) Load(from io.Reader) error {
	w := newWorld()
	if err := json.NewDecoder(from).Decode(w); err != nil {
		return fmt.Errorf("githubemu: load: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range w.Repos {
		git, err := s.cfg.Store.Open(r.Owner, r.Name)
		if err != nil {
			return fmt.Errorf("githubemu: load %s: %w", r.full(), err)
		}
		r.git = git
		r.makeMaps()
	}
	for _, a := range w.Apps {
		a.restoreKey()
	}
	if a := w.appBySlug(s.cfg.App.Slug); a != nil {
		mine := s.w.Apps[s.appID]
		a.PublicKey, a.Key, a.WebhookSecret, a.WebhookURL = mine.PublicKey, mine.Key, mine.WebhookSecret, mine.WebhookURL
		s.appID = a.ID
	}
	s.w = w
	s.hooks.waiting = nil
	for _, d := range w.Deliveries {
		if d.DeliveredAt.IsZero() {
			s.hooks.waiting = append(s.hooks.waiting, d)
		}
	}
	s.hooks.wake()
	return nil
}
