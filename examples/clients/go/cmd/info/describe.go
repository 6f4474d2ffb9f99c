package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/videoconf-client/gen/rocketchat/videoconference/v1"
)

// describe tells of a conference in a few lines. `url` isn't among them, since
// it may let anybody in who sees it.
func describe(r *pb.GetInfoResponse, now time.Time) string {
	c := r.GetVideoConference()
	var lines strings.Builder
	line := func(label, text string) {
		fmt.Fprintf(&lines, "%-8s %s\n", label, oneLine(text))
	}
	title := c.GetTitle()
	if title == "" {
		title = words(c.GetType())
	}
	line("call", title)
	status := words(c.GetStatus())
	if c.GetEndedAt() != nil {
		// Some providers set it without a change of status.
		status += ", over since " + at(c.GetEndedAt())
	}
	line("status", status)
	for _, u := range c.GetUsers() {
		line("with", person(u.GetName(), u.GetUsername(), u.GetId())+presence(u))
	}
	if n := c.GetAnonymousUsers(); n > 0 {
		line("with", fmt.Sprintf("%d without an account", n))
	}
	if c.GetCreatedAt() != nil {
		created := at(c.GetCreatedAt())
		if by := c.GetCreatedBy(); by != nil {
			created += " by " + person(by.GetName(), by.GetUsername(), by.GetId())
		}
		line("created", created)
	}
	if r.GetReadAt() != nil {
		// By two clocks, the facade's and ours, which may differ.
		age := max(0, now.Sub(r.GetReadAt().AsTime()))
		line("read", fmt.Sprintf("%.1f s ago", age.Seconds()))
	}
	for _, text := range additional(c.ProtoReflect(), "") {
		line("also", text)
	}
	return lines.String()
}

// words makes "started" of VIDEO_CONFERENCE_STATUS_STARTED, and 9 of a value
// that is newer than this client's proto.
func words(e protoreflect.Enum) string {
	value := e.Descriptor().Values().ByNumber(e.Number())
	if value == nil {
		return fmt.Sprint(e.Number())
	}
	// The value 0 of each enum is its prefix and UNSPECIFIED.
	zero := string(e.Descriptor().Values().ByNumber(0).Name())
	name := strings.TrimPrefix(string(value.Name()), strings.TrimSuffix(zero, "UNSPECIFIED"))
	if e.Number() == 0 {
		// Absent, or not known to the facade: then it is an "also".
		return "unknown"
	}
	return strings.ToLower(strings.ReplaceAll(name, "_", " "))
}

func person(name, username, id string) string {
	switch {
	case name != "" && username != "":
		return fmt.Sprintf("%s (%s)", name, username)
	case name != "" || username != "":
		return name + username
	}
	return id
}

// presence is told by Rocket.Chat 8.9 and later; before, who is listed joined.
func presence(u *pb.VideoConferenceUser) string {
	switch {
	case u.GetLeftAt() != nil && u.GetLeftReason() != 0:
		return ", left " + at(u.GetLeftAt()) + ": " + words(u.GetLeftReason())
	case u.GetLeftAt() != nil:
		return ", left " + at(u.GetLeftAt())
	case u.GetDeclined():
		return ", declined"
	case u.Joined != nil && !u.GetJoined():
		return ", not joined"
	}
	return ""
}

func at(t *timestamppb.Timestamp) string { return t.AsTime().Format("2006-01-02 15:04:05Z") }

// additional finds what stands in `additional_fields` of a message and of those
// within: what the proto doesn't know, or what doesn't fit it.
func additional(m protoreflect.Message, path string) []string {
	var found []string
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		if field.Message() == nil || field.IsMap() || !m.Has(field) {
			continue
		}
		name := path + field.JSONName()
		if field.IsList() {
			for j := range m.Get(field).List().Len() {
				within := m.Get(field).List().Get(j).Message()
				found = append(found, additional(within, fmt.Sprintf("%s[%d].", name, j))...)
			}
		} else if extra, ok := m.Get(field).Message().Interface().(*structpb.Struct); ok {
			found = append(found, members(extra, path)...)
		} else {
			found = append(found, additional(m.Get(field).Message(), name+".")...)
		}
	}
	return found
}

func members(s *structpb.Struct, path string) []string {
	var found []string
	for key, value := range s.GetFields() {
		text, err := protojson.Marshal(value)
		if err != nil {
			text = []byte(err.Error())
		}
		found = append(found, fmt.Sprintf("%s%s: %s", path, key, text))
	}
	slices.Sort(found)
	return found
}
