package forge

import "time"

// Shapes of GraphQL's answer, as far as they are read.
type (
	pageInfo struct {
		HasNextPage     bool   `json:"hasNextPage"`
		EndCursor       string `json:"endCursor"`
		HasPreviousPage bool   `json:"hasPreviousPage"`
		StartCursor     string `json:"startCursor"`
	}
	actor struct {
		Typename   string `json:"__typename"`
		Login      string `json:"login"`
		DatabaseID int64  `json:"databaseId"`
	}
	object struct {
		OID string `json:"oid"`
	}
	appNode struct {
		DatabaseID int64 `json:"databaseId"`
	}
	contexts struct {
		PageInfo pageInfo `json:"pageInfo"`
		Nodes    []struct {
			Typename    string    `json:"__typename"`
			Context     string    `json:"context"`
			State       string    `json:"state"`
			TargetURL   string    `json:"targetUrl"`
			CreatedAt   time.Time `json:"createdAt"`
			DatabaseID  int64     `json:"databaseId"`
			Name        string    `json:"name"`
			Status      string    `json:"status"`
			Conclusion  string    `json:"conclusion"`
			DetailsURL  string    `json:"detailsUrl"`
			StartedAt   time.Time `json:"startedAt"`
			CompletedAt time.Time `json:"completedAt"`
			ExternalID  string    `json:"externalId"`
			CheckSuite  *struct {
				App *appNode `json:"app"`
			} `json:"checkSuite"`
		} `json:"nodes"`
	}
	commitNode struct {
		OID    string `json:"oid"`
		Rollup *struct {
			Contexts contexts `json:"contexts"`
		} `json:"statusCheckRollup"`
	}
	reviews struct {
		PageInfo pageInfo `json:"pageInfo"`
		Nodes    []struct {
			DatabaseID  int64     `json:"databaseId"`
			State       string    `json:"state"`
			SubmittedAt time.Time `json:"submittedAt"`
			Author      *actor    `json:"author"`
			Commit      *object   `json:"commit"`
		} `json:"nodes"`
	}
	pullNode struct {
		Number       int       `json:"number"`
		Title        string    `json:"title"`
		URL          string    `json:"url"`
		State        string    `json:"state"`
		Draft        bool      `json:"isDraft"`
		Fork         bool      `json:"isCrossRepository"`
		Merged       bool      `json:"merged"`
		MergedAt     time.Time `json:"mergedAt"`
		ClosedAt     time.Time `json:"closedAt"`
		CreatedAt    time.Time `json:"createdAt"`
		HeadRef      string    `json:"headRefName"`
		Head         string    `json:"headRefOid"`
		BaseRef      string    `json:"baseRefName"`
		Base         string    `json:"baseRefOid"`
		Mergeable    string    `json:"mergeable"`
		MergeCommit  *object   `json:"mergeCommit"`
		Author       *actor    `json:"author"`
		MergedBy     *actor    `json:"mergedBy"`
		Reviews      reviews   `json:"reviews"`
		ClosedEvents struct {
			Nodes []struct {
				Actor *actor `json:"actor"`
			} `json:"nodes"`
		} `json:"timelineItems"`
		Commits struct {
			Nodes []struct {
				Commit commitNode `json:"commit"`
			} `json:"nodes"`
		} `json:"commits"`
	}
	pullList struct {
		PageInfo pageInfo   `json:"pageInfo"`
		Nodes    []pullNode `json:"nodes"`
	}
)
