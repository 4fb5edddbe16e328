// Films as pictures: addresses from left to right, time from top to bottom, and beside them what is
// held and how fragmented it is.
#ifndef GRANARY_BENCH_COMPACTION_FILM_PICTURE_H_
#define GRANARY_BENCH_COMPACTION_FILM_PICTURE_H_

#include <cstdint>
#include <string>

#include "bench/compaction/region_film.h"

namespace granary::bench {

struct FilmCaption {
  std::string title;
  std::string subtitle;
  // Fragmentation that somebody else promises after defragmentation; below 0 for none.
  double target = -1;
};

// An <svg> element: a file by itself, or a part of a page. It is dark where the reader's pages are.
std::string RenderFilmSvg(const RegionFilm& film, const FilmCaption& caption);

// For a terminal; as wide as the film has columns, and 40 more.
std::string RenderFilmText(const RegionFilm& film, const FilmCaption& caption);

// Eight densities, from 0 for nothing to 8 for everything; something is never 0, and not everything
// never 8.
int DensityOf(uint64_t used_bytes, uint64_t cell_bytes);

}  // namespace granary::bench

#endif  // GRANARY_BENCH_COMPACTION_FILM_PICTURE_H_
