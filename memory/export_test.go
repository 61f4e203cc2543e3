package memory

// MatchTopic is the topic matcher, for its tests: going through a broker for
// every case would make the fuzz test a test of the broker.
func MatchTopic(pattern, key string) bool { return matchTopic(words(pattern), words(key)) }
