package ledger

import "github.com/rungbot/rung/internal/promotion"

// The fields of a record, and of all that is in it, as parseRecord reads them: in the
// order of the types, whose json tags say which are left out when they are empty. A
// test holds them to the types.

func readRecord(p *canonicalParser, r *promotion.Record) {
	p.begin()
	number(p, `"format":`, &r.Format)
	text(p, `"kind":`, &r.Kind)
	textIfAny(p, `"promotion":`, &r.Promotion)
	object(p, `"repository":`, &r.Repository, readRepository)
	objectIfAny(p, `"base":`, &r.Base, readBase)
	textIfAny(p, `"environment":`, &r.Environment)
	pointerIfAny(p, `"artifact":`, &r.Artifact, readArtifact)
	pointerIfAny(p, `"previous":`, &r.Previous, readLink)
	pointerIfAny(p, `"from":`, &r.From, readFrom)
	textIfAny(p, `"restores":`, &r.Restores)
	textIfAny(p, `"reverts":`, &r.Reverts)
	textIfAny(p, `"manualChanges":`, &r.ManualChanges)
	textIfAny(p, `"announced":`, &r.Announced)
	listIfAny(p, `"places":`, &r.Places, readPlaceChange)
	listIfAny(p, `"files":`, &r.Files, readFile)
	pointerIfAny(p, `"pullRequest":`, &r.PullRequest, readPullRequest)
	object(p, `"actor":`, &r.Actor, readActor)
	objectIfAny(p, `"cause":`, &r.Cause, readCause)
	listIfAny(p, `"events":`, &r.Events, readEvent)
	listIfAny(p, `"causers":`, &r.Causers, readPerson)
	textIfAny(p, `"authorized":`, &r.Authorized)
	listIfAny(p, `"approvals":`, &r.Approvals, readApproval)
	longListIfAny(p, `"gates":`, &r.Gates, &p.gates, readGate)
	listIfAny(p, `"policies":`, &r.Policies, readPolicy)
	listIfAny(p, `"inputs":`, &r.Inputs, readInput)
	pointerIfAny(p, `"facts":`, &r.Facts, readFacts)
	textIfAny(p, `"factsDigest":`, &r.FactsDigest)
	pointerIfAny(p, `"window":`, &r.Window, readWindow)
	pointerIfAny(p, `"landed":`, &r.Landed, readLanded)
	pointerIfAny(p, `"range":`, &r.Range, readRange)
	textIfAny(p, `"digest":`, &r.Digest)
	listIfAny(p, `"children":`, &r.Children, readText)
	textIfAny(p, `"scope":`, &r.Scope)
	instantIfAny(p, `"until":`, &r.Until)
	textIfAny(p, `"outcome":`, &r.Outcome)
	textIfAny(p, `"reason":`, &r.Reason)
	textIfAny(p, `"keys":`, &r.Keys)
	pointerIfAny(p, `"trust":`, &r.Trust, readTrust)
	instant(p, `"issuedAt":`, &r.IssuedAt)
	object(p, `"builder":`, &r.Builder, readBuilder)
	p.end()
}

func readRepository(p *canonicalParser, r *promotion.RecordRepository) {
	p.begin()
	text(p, `"uri":`, &r.URI)
	number(p, `"id":`, &r.ID)
	numberIfAny(p, `"app":`, &r.App)
	p.end()
}

func readBase(p *canonicalParser, b *promotion.RecordBase) {
	p.begin()
	textIfAny(p, `"ref":`, &b.Ref)
	textIfAny(p, `"judged":`, &b.Judged)
	p.end()
}

func readArtifact(p *canonicalParser, a *promotion.RecordArtifact) {
	p.begin()
	text(p, `"name":`, &a.Name)
	textIfAny(p, `"purl":`, &a.PURL)
	textIfAny(p, `"version":`, &a.Version)
	textIfAny(p, `"digest":`, &a.Digest)
	textIfAny(p, `"sourceRepository":`, &a.SourceRepository)
	textIfAny(p, `"sourceCommit":`, &a.SourceCommit)
	p.end()
}

func readLink(p *canonicalParser, l *promotion.RecordLink) {
	p.begin()
	text(p, `"statement":`, &l.Statement)
	textIfAny(p, `"blob":`, &l.Blob)
	p.end()
}

func readFrom(p *canonicalParser, f *promotion.RecordFrom) {
	p.begin()
	text(p, `"environment":`, &f.Environment)
	text(p, `"statement":`, &f.Statement)
	p.end()
}

func readPlaceChange(p *canonicalParser, v *promotion.PlaceChange) {
	p.begin()
	text(p, `"path":`, &v.Path)
	text(p, `"locator":`, &v.Locator)
	object(p, `"before":`, &v.Before, readValue)
	object(p, `"after":`, &v.After, readValue)
	p.end()
}

func readValue(p *canonicalParser, v *promotion.Value) {
	p.begin()
	textIfAny(p, `"version":`, &v.Version)
	textIfAny(p, `"digest":`, &v.Digest)
	p.end()
}

func readFile(p *canonicalParser, f *promotion.RecordFile) {
	p.begin()
	text(p, `"path":`, &f.Path)
	textIfAny(p, `"before":`, &f.Before)
	textIfAny(p, `"after":`, &f.After)
	p.end()
}

func readPullRequest(p *canonicalParser, v *promotion.RecordPullRequest) {
	p.begin()
	numberIfAny(p, `"number":`, &v.Number)
	textIfAny(p, `"head":`, &v.Head)
	textIfAny(p, `"tree":`, &v.Tree)
	flagIfAny(p, `"forge":`, &v.Forge)
	textIfAny(p, `"parent":`, &v.Parent)
	numberIfAny(p, `"after":`, &v.After)
	p.end()
}

func readActor(p *canonicalParser, a *promotion.Actor) {
	p.begin()
	text(p, `"kind":`, &a.Kind)
	numberIfAny(p, `"id":`, &a.ID)
	textIfAny(p, `"login":`, &a.Login)
	flagIfAny(p, `"bot":`, &a.Bot)
	p.end()
}

func readPerson(p *canonicalParser, v *promotion.Person) {
	p.begin()
	numberIfAny(p, `"id":`, &v.ID)
	textIfAny(p, `"login":`, &v.Login)
	flagIfAny(p, `"bot":`, &v.Bot)
	p.end()
}

func readCause(p *canonicalParser, c *promotion.Cause) {
	p.begin()
	text(p, `"kind":`, &c.Kind)
	textIfAny(p, `"id":`, &c.ID)
	instantIfAny(p, `"at":`, &c.At)
	p.end()
}

func readEvent(p *canonicalParser, e *promotion.RecordEvent) {
	p.begin()
	text(p, `"event":`, &e.Event)
	text(p, `"delivery":`, &e.Delivery)
	instantIfAny(p, `"at":`, &e.At)
	textIfAny(p, `"publisher":`, &e.Publisher)
	numberIfAny(p, `"publisherId":`, &e.PublisherID)
	objectIfAny(p, `"sender":`, &e.Sender, readPerson)
	textIfAny(p, `"digest":`, &e.Digest)
	textIfAny(p, `"sourceRepository":`, &e.SourceRepository)
	textIfAny(p, `"sourceCommit":`, &e.SourceCommit)
	p.end()
}

func readApproval(p *canonicalParser, a *promotion.RecordApproval) {
	p.begin()
	numberIfAny(p, `"id":`, &a.ID)
	textIfAny(p, `"login":`, &a.Login)
	flagIfAny(p, `"bot":`, &a.Bot)
	text(p, `"permission":`, &a.Permission)
	listIfAny(p, `"teams":`, &a.Teams, readText)
	text(p, `"commit":`, &a.Commit)
	numberIfAny(p, `"review":`, &a.Review)
	instantIfAny(p, `"at":`, &a.At)
	p.end()
}

func readGate(p *canonicalParser, g *promotion.RecordGate) {
	p.begin()
	text(p, `"gate":`, &g.Gate)
	text(p, `"status":`, &g.Status)
	text(p, `"sentence":`, &g.Sentence)
	instantIfAny(p, `"observedAt":`, &g.ObservedAt)
	longListIfAny(p, `"evidence":`, &g.Evidence, &p.evidence, readEvidence)
	p.end()
}

func readEvidence(p *canonicalParser, e *promotion.Evidence) {
	p.begin()
	text(p, `"name":`, &e.Name)
	text(p, `"value":`, &e.Value)
	textIfAny(p, `"url":`, &e.URL)
	instantIfAny(p, `"at":`, &e.At)
	p.end()
}

func readPolicy(p *canonicalParser, v *promotion.RecordPolicy) {
	p.begin()
	text(p, `"path":`, &v.Path)
	text(p, `"digest":`, &v.Digest)
	text(p, `"engine":`, &v.Engine)
	longListIfAny(p, `"rules":`, &v.Rules, &p.rules, readRuleResult)
	p.end()
}

func readRuleResult(p *canonicalParser, r *promotion.RuleResult) {
	p.begin()
	text(p, `"policy":`, &r.Policy)
	text(p, `"rule":`, &r.Rule)
	text(p, `"status":`, &r.Status)
	textIfAny(p, `"message":`, &r.Message)
	p.end()
}

func readInput(p *canonicalParser, i *promotion.RecordInput) {
	p.begin()
	text(p, `"uri":`, &i.URI)
	text(p, `"digest":`, &i.Digest)
	textIfAny(p, `"verifier":`, &i.Verifier)
	text(p, `"result":`, &i.Result)
	p.end()
}

func readFacts(p *canonicalParser, f *promotion.RecordFacts) {
	p.begin()
	number(p, `"version":`, &f.Version)
	instant(p, `"now":`, &f.Now)
	object(p, `"repository":`, &f.Repository, readHome)
	objectIfAny(p, `"previous":`, &f.Previous, readValue)
	pointerIfAny(p, `"pullRequest":`, &f.PullRequest, readPullRequestFacts)
	listIfAny(p, `"predecessors":`, &f.Predecessors, readPredecessorFacts)
	pointerIfAny(p, `"quarantined":`, &f.Quarantined, readBar)
	listIfAny(p, `"freezes":`, &f.Freezes, readBar)
	flagIfAny(p, `"causersUnknown":`, &f.CausersUnknown)
	object(p, `"rules":`, &f.Rules, readBranchRules)
	listIfAny(p, `"holds":`, &f.Holds, readText)
	p.end()
}

func readHome(p *canonicalParser, h *promotion.Repository) {
	p.begin()
	number(p, `"id":`, &h.ID)
	number(p, `"installation":`, &h.Installation)
	text(p, `"owner":`, &h.Owner)
	text(p, `"name":`, &h.Name)
	text(p, `"url":`, &h.URL)
	p.end()
}

func readPullRequestFacts(p *canonicalParser, v *promotion.PullRequestFacts) {
	p.begin()
	number(p, `"number":`, &v.Number)
	text(p, `"head":`, &v.Head)
	flag(p, `"ours":`, &v.Ours)
	textIfAny(p, `"headProblem":`, &v.HeadProblem)
	flagIfAny(p, `"draft":`, &v.Draft)
	text(p, `"mergeable":`, &v.Mergeable)
	object(p, `"author":`, &v.Author, readPerson)
	listIfAny(p, `"reviews":`, &v.Reviews, readReviewFacts)
	listIfAny(p, `"checks":`, &v.Checks, readCheckFacts)
	flag(p, `"checksComplete":`, &v.ChecksComplete)
	listIfAny(p, `"committers":`, &v.Committers, readPerson)
	p.end()
}

func readReviewFacts(p *canonicalParser, r *promotion.ReviewFacts) {
	p.begin()
	number(p, `"id":`, &r.ID)
	object(p, `"author":`, &r.Author, readPerson)
	text(p, `"state":`, &r.State)
	text(p, `"commit":`, &r.Commit)
	instant(p, `"at":`, &r.At)
	pointerIfAny(p, `"access":`, &r.Access, readAccess)
	p.end()
}

func readAccess(p *canonicalParser, a *promotion.Access) {
	p.begin()
	text(p, `"permission":`, &a.Permission)
	listIfAny(p, `"teams":`, &a.Teams, readText)
	textIfAny(p, `"error":`, &a.Error)
	p.end()
}

func readCheckFacts(p *canonicalParser, c *promotion.CheckFacts) {
	p.begin()
	text(p, `"name":`, &c.Name)
	numberIfAny(p, `"app":`, &c.App)
	text(p, `"state":`, &c.State)
	textIfAny(p, `"url":`, &c.URL)
	instantIfAny(p, `"at":`, &c.At)
	p.end()
}

func readPredecessorFacts(p *canonicalParser, v *promotion.PredecessorFacts) {
	p.begin()
	text(p, `"environment":`, &v.Environment)
	object(p, `"live":`, &v.Live, readValue)
	instantIfAny(p, `"landed":`, &v.Landed)
	textIfAny(p, `"settled":`, &v.Settled)
	instantIfAny(p, `"settledAt":`, &v.SettledAt)
	instantIfAny(p, `"soakEnds":`, &v.SoakEnds)
	listIfAny(p, `"health":`, &v.Health, readHealthReading)
	p.end()
}

func readHealthReading(p *canonicalParser, h *promotion.HealthReading) {
	p.begin()
	object(p, `"source":`, &h.Source, readHealthSource)
	text(p, `"status":`, &h.Status)
	textIfAny(p, `"detail":`, &h.Detail)
	textIfAny(p, `"url":`, &h.URL)
	instantIfAny(p, `"at":`, &h.At)
	instantIfAny(p, `"since":`, &h.Since)
	textIfAny(p, `"commit":`, &h.Commit)
	p.end()
}

func readHealthSource(p *canonicalParser, h *promotion.HealthSource) {
	p.begin()
	textIfAny(p, `"status":`, &h.Status)
	numberIfAny(p, `"app":`, &h.App)
	textIfAny(p, `"http":`, &h.HTTP)
	textIfAny(p, `"artifact":`, &h.Artifact)
	numberIfAny(p, `"timeout":`, &h.Timeout)
	numberIfAny(p, `"interval":`, &h.Interval)
	numberIfAny(p, `"failAfter":`, &h.FailAfter)
	p.end()
}

func readBar(p *canonicalParser, b *promotion.Bar) {
	p.begin()
	text(p, `"scope":`, &b.Scope)
	text(p, `"reason":`, &b.Reason)
	object(p, `"by":`, &b.By, readPerson)
	instant(p, `"at":`, &b.At)
	instantIfAny(p, `"until":`, &b.Until)
	p.end()
}

func readBranchRules(p *canonicalParser, b *promotion.BranchRules) {
	p.begin()
	flag(p, `"known":`, &b.Known)
	listIfAny(p, `"requiredChecks":`, &b.RequiredChecks, readRequiredCheck)
	numberIfAny(p, `"requiredReviews":`, &b.RequiredReviews)
	flagIfAny(p, `"signedCommits":`, &b.SignedCommits)
	flagIfAny(p, `"linearHistory":`, &b.LinearHistory)
	flagIfAny(p, `"mergeQueue":`, &b.MergeQueue)
	longListIfAny(p, `"methods":`, &b.Methods, &p.words, readText)
	p.end()
}

func readRequiredCheck(p *canonicalParser, r *promotion.RequiredCheck) {
	p.begin()
	text(p, `"name":`, &r.Name)
	numberIfAny(p, `"app":`, &r.App)
	p.end()
}

func readWindow(p *canonicalParser, w *promotion.RecordWindow) {
	p.begin()
	instant(p, `"began":`, &w.Began)
	instant(p, `"ended":`, &w.Ended)
	numberIfAny(p, `"soak":`, &w.Soak)
	instantIfAny(p, `"since":`, &w.Since)
	textIfAny(p, `"by":`, &w.By)
	listIfAny(p, `"readings":`, &w.Readings, readHealthReading)
	p.end()
}

func readLanded(p *canonicalParser, l *promotion.RecordLanded) {
	p.begin()
	text(p, `"commit":`, &l.Commit)
	text(p, `"firstParent":`, &l.FirstParent)
	text(p, `"method":`, &l.Method)
	flagIfAny(p, `"byHand":`, &l.ByHand)
	listIfAny(p, `"unmet":`, &l.Unmet, readText)
	p.end()
}

func readRange(p *canonicalParser, r *promotion.RecordRange) {
	p.begin()
	textIfAny(p, `"from":`, &r.From)
	text(p, `"to":`, &r.To)
	p.end()
}

func readTrust(p *canonicalParser, t *promotion.RecordTrust) {
	p.begin()
	number(p, `"serial":`, &t.Serial)
	textIfAny(p, `"ledger":`, &t.Ledger)
	listIfAny(p, `"revoked":`, &t.Revoked, readRevocation)
	p.end()
}

func readRevocation(p *canonicalParser, r *promotion.Revocation) {
	p.begin()
	text(p, `"key":`, &r.Key)
	text(p, `"after":`, &r.After)
	textIfAny(p, `"reason":`, &r.Reason)
	p.end()
}

func readBuilder(p *canonicalParser, b *promotion.Builder) {
	p.begin()
	text(p, `"version":`, &b.Version)
	p.end()
}
