package gitstore

import "context"

// Push is the caller's part in one push over a Repository's Handler. Put it
// in the request's context with WithPush; either function may be nil.
type Push struct {
	// Judge is asked once, when the pushed objects can already be read and
	// before any ref moves. It returns, by ref, why a ref may not move; the
	// text reaches the person who pushes on the side band, and the ref is
	// reported as "hook declined". Under atomic one refusal stops all.
	Judge func(ctx context.Context, updates []RefUpdate) map[string]string
	// Landed is told which refs moved, before the client is answered. It is
	// not called when none did.
	Landed func(ctx context.Context, updates []RefUpdate)
}

type pushKey struct{}

// WithPush attaches p to the context of a request to a Repository's Handler.
func WithPush(ctx context.Context, p Push) context.Context {
	return context.WithValue(ctx, pushKey{}, p)
}

// PushFrom returns the Push that WithPush attached, or the zero Push.
func PushFrom(ctx context.Context) Push {
	p, _ := ctx.Value(pushKey{}).(Push)
	return p
}
