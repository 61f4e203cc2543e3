package content

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Field returns the text, number or boolean to which steps lead in a JSON body, names of
// objects and numbers of arrays; "" if there is none.
func Field(body []byte, steps []string) string {
	at := json.RawMessage(bytes.TrimSpace(body))
	for _, step := range steps {
		if at = within(at, step); at == nil {
			return ""
		}
	}
	switch {
	case len(at) == 0 || at[0] == '{' || at[0] == '[' || string(at) == "null":
		return ""
	case at[0] != '"':
		return string(at)
	}
	var text string
	if json.Unmarshal(at, &text) != nil {
		return ""
	}
	return text
}

// within is the value that one step leads to, nil if there is none.
func within(at json.RawMessage, step string) json.RawMessage {
	if len(at) > 0 && at[0] == '[' {
		var list []json.RawMessage
		n, err := strconv.Atoi(step)
		if err != nil || n < 0 || json.Unmarshal(at, &list) != nil || n >= len(list) {
			return nil
		}
		return list[n]
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(at, &object) != nil {
		return nil
	}
	return object[step]
}
