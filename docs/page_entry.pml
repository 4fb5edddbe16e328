/*
 * The entry of a page, pool/buffer/page_entry.h, for the model checker SPIN: two threads that do with one page whatever a
 * thread may, as often as they like, and an evictor that writes it, evicts it and gives its frame to other pages. The search
 * goes through every interleaving of every number of operations.
 *
 *   spin -a page_entry.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m1500000
 *
 * What is checked, by assertions and by SPIN's own look for states in which nobody can go on:
 *
 *   - nobody has the page beside who has it exclusively, and one thread brings it at a time;
 *   - what an optimistic reader validates was not written to since its first look, nor was its frame given away;
 *   - the word has as many pins as threads hold, never fewer than none, and no field runs into the next;
 *   - a page that is pinned, or dirty, is not evicted; a page that is brought is the last one that somebody wrote;
 *   - nobody sleeps for ever: threads may stop at any time between operations, and then a sleeper that nobody is left to
 *     wake is a state without an exit. The model's futex does not wake for no reason and has no timeout; the real one does.
 *
 * How it stands for the code.
 *
 *   - One atomic operation is one step. A loop around a compare-and-exchange is one step too: an iteration that fails
 *     changes nothing, and one that succeeds found the word as its condition saw it.
 *   - Two numbers that go on for ever, the entry's version and the parking lot's count of wakes, are replaced by what is asked of
 *     them: whether it moved since a thread looked (`stale`, `woken`). So the model's version never comes round; page_entry.h
 *     says what happens when the real one does.
 *   - Spinning before sleeping is one look.
 *   - The memory is sequentially consistent. Whether the orders in the code suffice is for page_entry.h to argue and for
 *     ThreadSanitizer to watch.
 *   - Left out: the limit of pins, entries whose memory is given back (fix_sections.h), discarded pages.
 *
 * With one of these defined a defect is built in, and the search has to fail. page_entry_model_test runs them all.
 *
 *   UNPIN_BY_STORE       a pin is taken back by a load and a store
 *   WAKE_FORGOTTEN       who lets go forgets to wake
 *   WAKE_WITHOUT_COUNT   who wakes calls the kernel, and does not count the wake
 *   PREPARE_LATE         a sleeper asks for the count of wakes behind its mark
 *   NO_WAIT_FOR_PINS     who claims the page does not wait for its readers
 *   UPGRADE_BESIDE_PINS  an upgrade does not look whether others have the page
 *   SAME_VERSION         a change does not move the version
 *   VALIDATE_NOTHING     an optimistic reader does not look again
 *   TWO_LOADERS          a page that is being brought is brought once more
 *   EVICT_PINNED         eviction does not look at pins
 *   EVICT_DIRTY          eviction does not look again whether the page is dirty, once it has it
 *   CLEAN_THE_CHANGED    a page is called clean though it was changed since it was copied
 */

#define THREADS 2

/* Who does what: both threads all of it. Of the smaller searches, one has a thread that only peeks, and the other none that does. */
#ifdef PEEKER
#define MayLatch (_pid != 0)
#define MayPeek (_pid == 0)
#else
#ifdef LATCHERS
#define MayLatch true
#define MayPeek false
#else
#define MayLatch true
#define MayPeek true
#endif
#endif

/* The word: pins, three bits; exclusive; loading; waiters; resident; the frame, one of two. */
#define PIN 1
#define PINS 7
#define EXCLUSIVE 8
#define LOADING 16
#define WAITERS 32
#define RESIDENT 64
#define FRAME 128

#define IsReadable(w) (((w) & (EXCLUSIVE | LOADING | RESIDENT)) == RESIDENT)
#define IsAbsent(w) (((w) & (EXCLUSIVE | LOADING | RESIDENT)) == 0)
#define FrameOf(w) ((w) >> 7)

byte word = 0;

/* A bit for each process. */
#define ME (1 << _pid)

/* The futex: who has asked for the count, for whom it has moved since, and who sleeps. */
byte prepared = 0;
byte woken = 0;
byte asleep = 0;

/* Optimistic readers: who looks, for whom the version has moved since its first look, and for whom something was written to
   the frames since. */
byte looking = 0;
byte stale = 0;
byte touched[2] = 0;

/* Frames that have no page of ours: bit 0 is frame 0. */
byte free_frames = 3;
bool is_dirty[2] = false;

/* What the threads know to have: for the assertions. */
byte pins_held = 0;
byte readers = 0;
byte writers = 0;
byte loaders = 0;
/* The store has what was last written to the page; and whether the page was changed, and marked as dirty, since it was copied. */
bool is_stored = true;
bool is_copy_old = true;
bool is_copy_marked = true;

inline Check() {
  assert((word & PINS) == pins_held);
  assert(writers + loaders <= 1);
  assert(writers == 0 || readers == 0);
  assert(loaders == 0 || readers == 0)
}

inline NewVersion() { stale = stale | looking }
inline Touch(frame) { touched[frame] = touched[frame] | looking }

/* --- The word's functions, as in page_entry.h ------------------------------------------------------------------------- */

/* Steps of functions that return the word as it was before. What is behind a step in the same `atomic` is the thread's own
   business, and so are values that nobody needs any more being set to 0: both save states. */

inline Pin(before) {
  before = word;
  assert((word & PINS) < PINS);
  word = word + PIN;
  pins_held++
}

/* PoolParts::Unpin. */
inline Unpin(before) {
  do
  ::
#ifdef UNPIN_BY_STORE
     before = word;
     atomic {
       word = before - PIN;
#else
     atomic {
       before = word;
       assert((word & PINS) > 0);
       word = word - PIN;
#endif
       pins_held--;
       Check();
       if
       :: (before & WAITERS) != 0 && (before & PINS) == 1 -> before = 0
       :: else -> before = 0; break
       fi
     }
     Wake();
     break
  od
}

/* Who changes the word otherwise, and wakes: PoolParts::Woken. */
#define WakeIfWaited(before) \
       if                                          \
       :: (before & WAITERS) != 0 -> before = 0    \
       :: else -> before = 0; break                \
       fi

inline ReleaseExclusive(is_changed, before) {
  do
  :: atomic {
       before = word;
       assert((word & EXCLUSIVE) != 0);
       word = word - EXCLUSIVE;
#ifndef SAME_VERSION
       if
       :: is_changed -> NewVersion()
       :: else
       fi;
#endif
       writers--;
       Check();
       WakeIfWaited(before)
     }
     Wake();
     break
  od
}

inline Downgrade(before) {
  do
  :: atomic {
       before = word;
       assert((word & EXCLUSIVE) != 0);
       word = word - EXCLUSIVE + PIN;
#ifndef SAME_VERSION
       NewVersion();
#endif
       writers--;
       pins_held++;
       readers++;
       Check();
       WakeIfWaited(before)
     }
     Wake();
     break
  od
}

/* `latch` is PIN, EXCLUSIVE or 0. Who has it exclusively waits for pins to go. */
inline EndLoad(frame, latch, before) {
  do
  :: atomic {
       before = word;
       assert((word & (LOADING | RESIDENT | EXCLUSIVE)) == LOADING);
       word = word + frame * FRAME + RESIDENT + latch - LOADING;
       NewVersion();
       loaders--;
       if
       :: latch == PIN -> pins_held++; readers++
       :: else
       fi;
       frame = 0;
       Check();
       WakeIfWaited(before)
     }
     Wake();
     break
  od
}

inline FailLoad(before) {
  do
  :: atomic {
       before = word;
       assert((word & (LOADING | RESIDENT | EXCLUSIVE)) == LOADING);
       word = word - LOADING;
       loaders--;
       Check();
       WakeIfWaited(before)
     }
     Wake();
     break
  od
}

inline Evict(frame, before) {
  do
  :: atomic {
       before = word;
       assert((word & (EXCLUSIVE | RESIDENT | LOADING)) == (EXCLUSIVE | RESIDENT) && FrameOf(word) == frame);
       assert(readers == 0 && is_stored);
       word = word - frame * FRAME - RESIDENT - EXCLUSIVE;
       NewVersion();
       free_frames = free_frames | (1 << frame);
       writers--;
       Check();
       WakeIfWaited(before)
     }
     Wake();
     break
  od
}

/* --- The parking lot, as in parking_lot.h ----------------------------------------------------------------------------- */

inline Prepare() {
  atomic {
    prepared = prepared | ME;
    woken = woken & ~ME
  }
}

inline Forget() {
  prepared = prepared & ~ME;
  woken = woken & ~ME
}

/* The kernel sleeps only if the count is what was seen. */
inline Sleep() {
  atomic {
    if
    :: (woken & ME) == 0 -> asleep = asleep | ME
    :: else
    fi
  }
  atomic {
    (asleep & ME) == 0;
    Forget()
  }
}

inline Wake() {
  word = word & ~WAITERS;
#ifndef WAKE_FORGOTTEN
#ifndef WAKE_WITHOUT_COUNT
  woken = woken | prepared;
#endif
  asleep = 0
#endif
}

/* --- The store and the frames ----------------------------------------------------------------------------------------- */

/* A frame that is free, and the page in it as the store has it; the frame is nobody else's between the two. */
inline ReadPage(frame) {
  atomic {
    if
    :: (free_frames & 1) != 0 -> frame = 0
    :: (free_frames & 2) != 0 -> frame = 1
    fi;
    free_frames = free_frames & ~(1 << frame);
    Touch(frame);
    assert(is_stored);
    is_dirty[frame] = false;
    is_copy_marked = true
  }
}

/* Whose the page is changes it, and marks it. */
inline ChangePage() {
  atomic {
    Touch(FrameOf(word));
    is_stored = false;
    is_copy_old = true;
    is_dirty[FrameOf(word)] = true;
    is_copy_marked = true
  }
}

/* An optimistic reader's first look, and the end of its interest. */
inline Look(first) {
  first = word;
  looking = looking | ME
}

inline LookNoMore(first) {
  looking = looking & ~ME;
  stale = stale & ~ME;
  touched[0] = touched[0] & ~ME;
  touched[1] = touched[1] & ~ME;
  first = 0
}

#ifdef VALIDATE_NOTHING
#define IsSamePage(now, first) true
#else
#define IsSamePage(now, first) ((((now) ^ (first)) & (EXCLUSIVE | LOADING | RESIDENT | FRAME)) == 0 && (stale & ME) == 0)
#endif
/* Of a look that was right, nothing was written to the page since. */
#define IsUntouched(first) ((touched[FrameOf(first)] & ME) == 0)

#ifdef UPGRADE_BESIDE_PINS
#define UpgradeMayTake(pins) true
#else
#define UpgradeMayTake(pins) ((pins) == 1)
#endif
#ifdef EVICT_PINNED
#define EvictionMayTake(pins) true
#else
#define EvictionMayTake(pins) ((pins) == 0)
#endif

/* --- Threads, as in page_access.cc and page_guard.cc ------------------------------------------------------------------ */

mtype = { kNone, kShared, kExclusive, kPeek, kPrefetch };

active [THREADS] proctype Thread() {
  mtype wants = kNone;
  byte seen = 0;
  byte first = 0;
  bit frame = 0;

idle:
  atomic {
    wants = kNone;
    if
    :: MayLatch -> wants = kShared
    :: MayLatch -> wants = kExclusive
    :: MayLatch -> wants = kPrefetch; goto bring
    :: MayPeek -> wants = kPeek
    :: goto stopped
    fi
  }
  if
  :: atomic {
       wants == kShared ->
       Pin(seen);
       if
       :: IsReadable(seen) -> seen = 0; readers++; Check(); goto shared
       :: else -> seen = 0
       fi
     }
     Unpin(seen)
  :: atomic {
       wants == kExclusive && IsReadable(word) && (word & PINS) == 0 ->
       /* TryExclusive(). */
       word = word | EXCLUSIVE;
       writers++;
       Check();
       goto exclusive
     }
  :: wants == kExclusive && !(IsReadable(word) && (word & PINS) == 0)
  :: atomic { wants == kPeek && IsReadable(word) -> Look(first); goto peeked }
  :: wants == kPeek && !IsReadable(word)
  fi;

fix:
  if
  :: atomic {
       wants == kExclusive && IsReadable(word) ->
       /* ClaimExclusive(). */
       word = word | EXCLUSIVE;
       goto claimed
     }
  :: !IsReadable(word)
  :: wants != kExclusive && IsReadable(word) ->
     atomic {
       /* Pin(): the look before may be out of date. */
       Pin(seen);
       if
       :: IsReadable(seen) -> seen = 0; readers++; Check(); goto shared
       :: else -> seen = 0
       fi
     }
     Unpin(seen)
  fi;

  /* BufferPoolCore::AwaitChange. */
  if
  :: IsReadable(word) -> goto fix
  :: IsAbsent(word) -> goto bring
  :: else
  fi;
#ifndef PREPARE_LATE
  Prepare();
#endif
  atomic {
    /* AnnounceWaiter(). */
    word = word | WAITERS;
    if
    :: IsReadable(word) -> Forget(); goto fix
    :: IsAbsent(word) -> Forget(); goto bring
    :: else
    fi
  }
#ifdef PREPARE_LATE
  Prepare();
#endif
  Sleep();
  goto fix;

bring:
  atomic {
    /* BeginLoad(). */
    if
#ifdef TWO_LOADERS
    :: (word & (EXCLUSIVE | RESIDENT)) == 0 ->
#else
    :: IsAbsent(word) ->
#endif
       word = word | LOADING;
       loaders++;
       Check()
    :: else ->
       if
       :: wants == kPrefetch -> goto idle
       :: else -> goto fix
       fi
    fi
  }
  if
  :: FailLoad(seen); goto idle
  :: ReadPage(frame)
  fi;
  if
  :: wants == kPrefetch -> EndLoad(frame, 0, seen); goto idle
  :: wants == kExclusive -> EndLoad(frame, EXCLUSIVE, seen); goto claimed
  :: wants == kShared || wants == kPeek -> EndLoad(frame, PIN, seen); goto shared
  fi;

claimed:
  /* BufferPoolCore::AwaitNoPins. */
#ifndef NO_WAIT_FOR_PINS
  if
  :: (word & PINS) == 0 -> goto alone
  :: else
  fi;
  Prepare();
  atomic {
    word = word | WAITERS;
    if
    :: (word & PINS) == 0 -> Forget(); goto alone
    :: else
    fi
  }
  Sleep();
  goto claimed;
#endif

alone:
  atomic {
    writers++;
    assert(readers == 0 && loaders == 0 && writers == 1)
  }

exclusive:
  ChangePage();
  if
  :: ReleaseExclusive(true, seen); goto idle
  :: Downgrade(seen); wants = kShared
  fi;

shared:
  /* It reads the page. */
  assert(writers == 0 && loaders == 0 && (word & RESIDENT) != 0);
  if
  :: atomic {
       wants == kPeek ->
       /* PeekSlow: looks at the word, and lets the page go. */
       Look(first);
       readers--
     }
     Unpin(seen);
     if
     :: atomic { IsReadable(first) -> goto peeked }
     :: atomic { else -> LookNoMore(first); goto fix }
     fi
  :: atomic {
       /* TryUpgrade(). */
       wants == kShared && IsReadable(word) && UpgradeMayTake(word & PINS) ->
       word = (word | EXCLUSIVE) - PIN;
       pins_held--;
       readers--;
       writers++;
       Check();
       goto exclusive
     }
  :: atomic { wants == kShared -> readers-- }
     Unpin(seen);
     goto idle
  fi;

peeked:
  if
  :: atomic {
       /* Validate(). */
       assert(!IsSamePage(word, first) || IsUntouched(first));
       LookNoMore(first);
       goto idle
     }
  :: atomic {
       /* TryUpgrade(). */
       IsReadable(word) && (word & PINS) == 0 && IsSamePage(word, first) ->
       assert(IsUntouched(first));
       LookNoMore(first);
       wants = kShared;
       word = word | EXCLUSIVE;
       writers++;
       Check();
       goto exclusive
     }
  :: atomic {
       /* TryLatchShared(). */
       Pin(seen);
       if
       :: IsReadable(seen) && IsSamePage(seen, first) ->
          assert(IsUntouched(first));
          LookNoMore(first);
          seen = 0;
          wants = kShared;
          readers++;
          Check();
          goto shared
       :: else -> seen = 0; LookNoMore(first)
       fi
     }
     Unpin(seen);
     goto idle
  fi;

stopped:
  wants = kNone;
end_stopped:
  false
}

/* What evicts and writes back: FrameSupply::TryEvict, WriteBack. It takes a page only where that can be had at once, in the frame in
   which it was picked. */
active proctype Evictor() {
  bit frame = 0;
  byte seen = 0;

end_idle:
  if
  :: atomic { (word & RESIDENT) != 0 && !is_dirty[FrameOf(word)] -> frame = FrameOf(word) }
  :: atomic { (word & RESIDENT) != 0 -> frame = FrameOf(word); goto write }
  /* A page of another file, say, comes into the frame. */
  :: atomic { (free_frames & 1) != 0 && (looking & ~touched[0]) != 0 -> Touch(0); goto end_idle }
  :: atomic { (free_frames & 2) != 0 && (looking & ~touched[1]) != 0 -> Touch(1); goto end_idle }
  fi;

  if
  :: atomic {
       /* PoolParts::TryExclusive. */
       IsReadable(word) && FrameOf(word) == frame && EvictionMayTake(word & PINS) ->
       word = word | EXCLUSIVE;
       writers++;
       Check()
     }
  :: atomic { else -> frame = 0; goto end_idle }
  fi;
#ifndef EVICT_DIRTY
  if
  :: atomic { is_dirty[frame] -> frame = 0 } ReleaseExclusive(false, seen); goto end_idle
  :: else
  fi;
#endif
  Evict(frame, seen);
  atomic { frame = 0; goto end_idle }

write:
  /* CopyOut: PoolParts::TryPin, and a copy. */
  atomic {
    Pin(seen);
    if
    :: IsReadable(seen) && FrameOf(seen) == frame -> seen = 0
    :: else -> seen = 0; goto not_written
    fi
  }
  atomic {
    if
    :: is_dirty[frame] -> is_copy_old = false; is_copy_marked = false
    :: else -> goto not_written
    fi
  }
  Unpin(seen);
  /* The copy is in the store; then NoteWritten. */
  atomic { is_stored = !is_copy_old }
  atomic {
    Pin(seen);
    if
    :: IsReadable(seen) && FrameOf(seen) == frame -> seen = 0
    :: else -> seen = 0; goto not_written
    fi
  }
  atomic {
    if
#ifdef CLEAN_THE_CHANGED
    :: true -> is_dirty[frame] = false
#else
    :: !is_copy_marked -> is_dirty[frame] = false
    :: else
#endif
    fi
  }

not_written:
  atomic {
    frame = 0;
    is_copy_old = true;
    is_copy_marked = true
  }
  Unpin(seen);
  goto end_idle
}
