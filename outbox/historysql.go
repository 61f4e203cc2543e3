package outbox

import "strings"

// maxHistory is how many events a row keeps.
const maxHistory = "50"

// event is what is to be added to a row's history, each part an SQL expression; an empty
// one, or one that is NULL, is left out. They see the row as it was.
type event struct {
	what, attempt, by, err, sentAt, ran, operation string
}

// repeated are the happenings that come again and again in one try and say the same: of a
// run of them the history keeps the latest, how many they were and when they began, so
// that a job which is put off every second keeps the errors from before.
var repeated = "('" + strings.Join([]string{string(PutOff), string(Refused), string(Resent)}, "', '") + "')"

// withEvent is the history of the row that columns belong to ("t." or nothing), with e added
// to it. What somebody has written there by hand may be anything in a list.
func withEvent(d *dialect, columns string, e event) string {
	for _, part := range []*string{&e.by, &e.err, &e.operation, &e.sentAt, &e.ran} {
		if *part == "" {
			*part = "NULL"
		}
	}
	text := postgresHistory
	if !d.numbered {
		text = sqliteHistory
	}
	same := strings.NewReplacer("{same}", text.same).Replace
	return strings.NewReplacer(
		"{history}", columns+"history", "{what}", e.what, "{attempt}", e.attempt, "{by}", e.by, "{error}", e.err, "{operation}", e.operation,
		"{sent_at}", e.sentAt, "{ran}", e.ran, "{repeated}", repeated, "{max}", maxHistory,
	).Replace(same(text.entry))
}

// historyText is how a database adds an entry: same tells whether the last one says the
// same thing.
type historyText struct{ same, entry string }

var postgresHistory = historyText{
	same: `({what} IN {repeated} AND {history} -> -1 ->> 'what' = {what} AND {history} -> -1 ->> 'attempt' = ({attempt})::text)`,
	entry: `CASE WHEN {same} THEN {history} - -1 WHEN jsonb_array_length({history}) >= {max} THEN {history} - 0 ELSE coalesce({history}, '[]'::jsonb) END
		|| jsonb_strip_nulls(jsonb_build_object('at', clock_timestamp(), 'what', {what}, 'attempt', {attempt}, 'by', {by}, 'error', nullif({error}, ''), 'operation', {operation}, 'sent_at', {sent_at}, 'ran', {ran},
			'times', CASE WHEN {same} THEN CASE WHEN {history} -> -1 ->> 'times' ~ '^[0-9]+$' AND length({history} -> -1 ->> 'times') < 9 THEN ({history} -> -1 ->> 'times')::int ELSE 1 END + 1 END,
			'first', CASE WHEN {same} THEN coalesce({history} -> -1 -> 'first', {history} -> -1 -> 'at') END))`,
}

var sqliteHistory = historyText{
	same: `({what} IN {repeated} AND json_extract({history}, '$[#-1].what') = {what} AND json_extract({history}, '$[#-1].attempt') = {attempt})`,
	entry: `json_insert(CASE WHEN {same} THEN json_remove({history}, '$[#-1]') WHEN json_array_length({history}) >= {max} THEN json_remove({history}, '$[0]') ELSE coalesce({history}, '[]') END,
		'$[#]', json_patch(json_object(), json_object('at', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'what', {what}, 'attempt', {attempt}, 'by', {by}, 'error', nullif({error}, ''), 'operation', {operation},
			'sent_at', strftime('%Y-%m-%dT%H:%M:%fZ', {sent_at}), 'ran', {ran},
			'times', CASE WHEN {same} THEN max(1, coalesce(CAST(json_extract({history}, '$[#-1].times') AS integer), 1)) + 1 END,
			'first', CASE WHEN {same} THEN coalesce(json_extract({history}, '$[#-1].first'), json_extract({history}, '$[#-1].at')) END)))`,
}

// literal is a happening as a statement says it.
func literal(h Happening) string { return "'" + string(h) + "'" }
