// Package shop is a small business whose every effect can be counted: what the
// fault tests and the torture run let run while they break things.
//
// An order is placed in a transaction that also writes down which jobs it
// commits to ("expected"). Handlers write down that they ran ("runs", at once)
// and what they did ("effects", in a transaction of their own). Afterwards
// [Audit] reads from these tables alone what was lost, invented or done twice:
// it asks neither the application nor the broker.
//
// [Open] wires the shop as an application would, with settings that let faults
// be noticed within seconds instead of minutes.
package shop
