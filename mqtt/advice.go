package mqtt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// versionTopic is where mosquitto and some others retain their version.
const versionTopic = "$SYS/broker/version"

// probeWait bounds the wait for the retained version after SUBACK.
const probeWait = 2 * time.Second

// BrokerAdvice returns what an operator should know about a broker whose version
// [ProbeBroker] has found; "" when there is nothing to say.
func BrokerAdvice(version string) string {
	if !strings.Contains(strings.ToLower(version), "mosquitto") {
		return ""
	}
	return version + ": its defaults drop QoS 1 messages of a slow or absent subscriber without telling anybody, " +
		"and edged cannot read its settings. In mosquitto.conf set: " +
		"max_queued_messages 0 (default 1000 per client), " +
		"max_inflight_messages 1000 (default 20 limits throughput), " +
		"persistence true with a short autosave_interval (default 1800 s; a broker that is killed forgets since the last save), " +
		"devices' topics by pattern lines if there is an acl_file (sessions that it restores have no user for topic lines), " +
		"and no persistent_client_expiration shorter than the longest time edged may be away."
}

// ProbeBroker asks the broker for its version over a short connection of its own
// with a clean session. The version is "" when the broker publishes none that we
// may read, which is no error.
func ProbeBroker(ctx context.Context, cfg Config) (version string, err error) {
	if err := cfg.Validate(); err != nil {
		return "", err
	}
	cfg = cfg.withDefaults()
	cfg.ClientID += "-probe"
	l, err := connect(ctx, cfg, hello{clean: true})
	if err != nil {
		return "", fmt.Errorf("probe broker: %w", err)
	}
	defer l.close()
	subscribe, err := encodeSubscribe(subscribeID, []Subscription{{Filter: versionTopic}})
	if err != nil {
		return "", err
	}
	l.out.add(func(b []byte) []byte { return append(b, subscribe...) })
	until := time.Now().Add(probeWait)
	for {
		version, done, err := findVersion(l.in)
		if done || err != nil {
			return version, err
		}
		_, err = l.read(ctx, max(time.Until(until), 1))
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("probe broker: %w", context.Cause(ctx))
		case errors.Is(err, errSilent):
			return "", nil
		case err != nil:
			return "", fmt.Errorf("probe broker: %w", err)
		}
	}
}

// findVersion looks through the frames that are here. It is done when it has
// found the version or learnt that there is none for us.
func findVersion(in *reader) (version string, done bool, err error) {
	for {
		f, ok, err := in.next()
		if err != nil || !ok {
			return "", false, err
		}
		switch f.kind() {
		case packets.Publish:
			p, err := parsePublish(f)
			if err == nil && string(p.topic) == versionTopic {
				return string(p.payload), true, nil
			}
		case packets.Suback:
			if len(f.body) == 3 && f.body[2] > 2 {
				return "", true, nil
			}
		}
	}
}
