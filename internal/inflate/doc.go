// Package inflate unpacks zlib streams (RFC 1950 and 1951) that lie in memory and
// whose unpacked size is known beforehand, as the entries of a git pack do: a few
// hundred bytes each, hundreds of thousands of them.
//
// A Decoder holds its tables and nothing of a stream once it has returned; it is
// used again and again and allocates nothing. One goroutine uses it at a time.
//
// It takes what compress/zlib takes and refuses what that refuses; every byte it
// returns has been held to the stream's checksum. It does not stream, knows no preset
// dictionary, and packs nothing. Input may be anybody's making: it neither panics nor
// writes outside of what it was given.
package inflate
