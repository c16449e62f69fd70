package hactl

import (
	"context"

	"pveha/internal/ha"
)

func (q *Query) watchStatus(context.Context) error { return nil }
func (q *Query) statusJSON(context.Context) error  { return nil }
func checkWait(params) error                       { return nil }
func lint(context.Context, *Query, params) error   { return nil }
func (e *Edit) waitForMove(context.Context, object, []ha.SID, string, params) error {
	return nil
}
func (e *Edit) waitForMaintenance(context.Context, string, params) error { return nil }
