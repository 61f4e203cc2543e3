// Package netfault is a TCP proxy that stands between a program and a server
// and does to their connections what networks do: cut, refuse, stall, slow,
// reset. Address is where the program connects instead; everything passes
// untouched until a fault is asked for. Faults may be combined and changed at
// any time, by any goroutine.
//
// What each looks like:
//
//	fault      to the client                        to the server               undone by
//	Cut        end of file now; connects again      end of file now             -
//	Reset      ECONNRESET now; connects again       ECONNRESET now              -
//	CutAfter   as Cut, later                        n octets, then end of file  Heal
//	Refuse     as Cut; then ECONNREFUSED            as Cut; nobody comes        Accept, Heal
//	Freeze     connects; writes succeed until the   silence; no new connections Thaw, Heal
//	           buffers are full; no answer, no end  and no end of the old ones
//	HalfOpen   as Freeze, but what it writes        hears the client, and its   Heal
//	           arrives                              answers fill the buffers
//	Slow       every answer late, in order          every request late          Heal
//	Throttle   a trickle                            a trickle                   Heal
//
// Cut, Reset and the like are not polite: what is under way inside the proxy is
// gone. (An end of file becomes ECONNRESET where the kernel still holds octets
// nobody read, as always with TCP.) Freeze, HalfOpen, Slow and Throttle lose
// nothing and keep the order, like a network that stops and comes back while
// TCP retransmits; that includes the end of a connection, which stays untold as
// long as the direction it travels in is silent.
//
// The links and the toxics of Slow and Throttle are toxiproxy's. The listener,
// the sockets and the stall are not, for its proxy could not do the following
// (version 2.5): its reset_peer resets connections made after it was added
// only, and when data comes; its timeout toxic drops data and closes the
// connection when removed; a toxic that only waits would make the removal of
// another one before it drop what is not taken within five seconds; its links
// leak goroutines when a write fails, and adding a toxic blocks for as long as
// a peer does not read. So each of its links ends in a queue of ours, which
// takes all it is given while toxics change, and holds it while the direction
// is silent.
package netfault
