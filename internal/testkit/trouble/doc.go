// Package trouble lets a test set a process's clock off and its disk on fire, by
// a file that the process reads again and again. Only a process started to be
// hurt does (the hidden command start-troubled, cmd/cairn/start_troubled.go).
//
//	a nemesis writes FILE            the process
//	  clock 110ms                      its wall clock is so much ahead
//	  drift 300                        and gains so many µs a second
//	  disk slow 50ms                   each sync takes so much longer
//	  disk stalled                     syncs do not return until this line goes
//	  disk full                        writes fail with ENOSPC
//	  disk failing                     syncs fail with EIO
//	  disk read-only                   writes fail with EROFS
//	  disk power-cut 7                 it loses what was not synced, as seed 7 has it, and dies
//
// What it did is counted in FILE.felt, so that trouble which nobody felt is
// noticed.
//
// Simpler would be libfaketime; but Go asks the kernel for the time and not libc.
package trouble
