// A person's wish to stop (SIGINT, SIGTERM, SIGHUP), as a value that loops ask for and that poll()
// wakes up for, so that the run unwinds: children are killed, temporary files removed.
#ifndef GRANARY_BENCH_REPORT_INTERRUPT_H_
#define GRANARY_BENCH_REPORT_INTERRUPT_H_

namespace granary::bench {

// From now on those signals end nothing by themselves. Call it once, before any child is started.
void CatchInterrupts();

// The first signal that came, or 0.
int InterruptSignal();

// Readable once a signal has come; -1 before CatchInterrupts.
int InterruptFd();

}  // namespace granary::bench

#endif  // GRANARY_BENCH_REPORT_INTERRUPT_H_
