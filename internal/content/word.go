package content

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Word is a header's value as the text that a person would write for it. Bytes that are
// no text are in base64, tables and lists in JSON, nothing is "".
func Word(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return base64.StdEncoding.EncodeToString(v)
	case bool:
		return strconv.FormatBool(v)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case map[string]any, []any:
		encoded, err := json.Marshal(encodable(v))
		if err != nil { // nothing that a message holds leads here
			return ""
		}
		return string(encoded)
	}
	return fmt.Sprint(v) // the integers
}

// encodable is v with words for what JSON does not have.
func encodable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name] = encodable(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = encodable(value)
		}
		return list
	case []byte, time.Time:
		return Word(v)
	case float32:
		return encodable(float64(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Word(v)
		}
	}
	return v
}
