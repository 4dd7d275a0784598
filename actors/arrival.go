package actors

import (
	"time"

	"edged"
)

// ArrivalFloor is the earliest wall clock that is believed, in ms. A gateway
// without a battery starts in 1970, or when its image was built.
const ArrivalFloor edged.Timestamp = 1_704_067_200_000 // 2024-01-01T00:00:00Z

// arrival is what messages that come now are stamped with; 0 when the clock
// cannot be trusted.
func arrival(wall func() time.Time) edged.Timestamp {
	if wall == nil {
		return 0
	}
	if now := edged.Timestamp(wall().UnixMilli()); now >= ArrivalFloor {
		return now
	}
	return 0
}
