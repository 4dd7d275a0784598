package query

import "encoding/json"

// Same reports whether two plans do the same in every respect, so that one can stand for
// the other: their documents say the same, and so do those of whoever they gather.
func (p *Plan) Same(q *Plan) bool {
	return p.ReplayFingerprint() == q.ReplayFingerprint() && p.Fingerprint() == q.Fingerprint() &&
		p.said() == q.said() && (p.Upstream() == "" || p.inputs[0].upstream.Same(q.inputs[0].upstream))
}

// said is what the document says of the pipeline, and who wants its results.
func (p *Plan) said() string {
	text, err := json.Marshal(struct {
		Spec                 *PipelineSpec
		Inner, Panes, Alarms bool
	}{p.spec, p.env.Inner, p.env.Panes, p.env.Alarms})
	if err != nil {
		panic("a spec is plain data: " + err.Error())
	}
	return string(text)
}
