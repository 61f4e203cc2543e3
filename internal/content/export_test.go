package content

// DecodeUpTo is Decode with another bound.
var DecodeUpTo = decode
