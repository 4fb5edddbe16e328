// Films and pictures of regions whose every byte is known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "bench/compaction/film_picture.h"
#include "bench/compaction/film_units.h"
#include "bench/compaction/region_film.h"
#include "bench/compaction/workload_film.h"
#include "bench/compaction/workload_picture.h"

namespace granary::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<uint64_t> Used(const FilmFrame& frame) {
  std::vector<uint64_t> used;
  for (const FilmCell& cell : frame.cells) used.push_back(cell.used_bytes);
  return used;
}

// Blocks of 100 bytes, each at a hundred more than the one before.
struct Hundreds {
  explicit Hundreds(int count)
      : heap(*CompactingHeap::Create({.limit_bytes = 1 << 20, .grain = 1, .chunk_bytes = 4096})) {
    for (int i = 0; i < count; ++i) blocks.push_back(*heap->Allocate(100));
  }

  std::unique_ptr<CompactingHeap> heap;
  std::vector<BlockHandle> blocks;
};

TEST(RegionCamera, CountsTheUsedBytesOfEachCell) {
  Hundreds known(6);
  ASSERT_TRUE(known.heap->Free(known.blocks[1]));
  ASSERT_TRUE(known.heap->Free(known.blocks[4]));
  // Used are [0, 100), [200, 400) and [500, 600).
  const FilmFrame frame = RegionCamera(64).Take(*known.heap, 7);
  EXPECT_THAT(Used(frame), ElementsAre(64, 36, 0, 56, 64, 64, 16, 12, 64, 24));
  EXPECT_EQ(frame.time, 7u);
  EXPECT_EQ(frame.live_bytes, 400u);
  EXPECT_EQ(frame.end_bytes, 600u);
  EXPECT_EQ(frame.held_bytes, 4096u);
  EXPECT_DOUBLE_EQ(frame.fragmentation, 0.5);
}

TEST(RegionCamera, AnEmptyHeapHasNoCells) {
  const Hundreds known(0);
  EXPECT_TRUE(RegionCamera(64).Take(*known.heap, 0).cells.empty());
}

TEST(RegionCamera, ShowsWhatWasMovedSinceTheFrameBefore) {
  Hundreds known(4);
  RegionCamera camera(100);
  camera.Moved({150, 100}, /*is_slide=*/false);
  camera.Moved({0, 30}, /*is_slide=*/true);
  // Above the end by the time of the frame.
  camera.Moved({900, 100}, /*is_slide=*/false);
  const FilmFrame frame = camera.Take(*known.heap, 0);
  ASSERT_EQ(frame.cells.size(), 4u);
  EXPECT_EQ(frame.cells[0].slid_bytes, 30u);
  EXPECT_EQ(frame.cells[0].evacuated_bytes, 0u);
  EXPECT_EQ(frame.cells[1].evacuated_bytes, 50u);
  EXPECT_EQ(frame.cells[2].evacuated_bytes, 50u);
  EXPECT_EQ(frame.cells[3].evacuated_bytes, 0u);
  EXPECT_EQ(camera.Take(*known.heap, 0).cells[0].slid_bytes, 0u);
}

TEST(Densities, SomethingIsNeverNothingAndNotEverythingNeverFull) {
  EXPECT_EQ(DensityOf(0, 1000), 0);
  EXPECT_EQ(DensityOf(1, 1000), 1);
  EXPECT_EQ(DensityOf(999, 1000), 7);
  EXPECT_EQ(DensityOf(1000, 1000), 8);
}

TEST(FilmUnits, AreAsPeopleReadThem) {
  EXPECT_EQ(FormatBytes(100), "100 B");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(5.5 * 1024 * 1024), "5.50 MiB");
  EXPECT_EQ(FormatPercent(0), "0 %");
  EXPECT_EQ(FormatPercent(0.00001), "below 0.01 %");
  EXPECT_EQ(FormatPercent(0.0123), "1.2 %");
  EXPECT_EQ(FormatPercent(2.53), "253 %");
  EXPECT_EQ(FormatSizes({0, 130, 130}), "130 B");
  EXPECT_EQ(FormatSizes({0, 5000, 15000}), "5000 to 15000 B");
  EXPECT_EQ(FormatSizes({0, 1, 5 << 20}), "1 B to 5.00 MiB");
}

FilmOptions SmallWorkload(int number) {
  return {.workload = {.number = number, .divisor = 10'000},
          .columns = 40,
          .workload_frames = 20,
          .defragmentation_frames = 10};
}

class WorkloadFilmTest : public testing::TestWithParam<int> {};

TEST_P(WorkloadFilmTest, ShowsEveryByteThatIsUsedOrMoved) {
  FilmOptions options = SmallWorkload(GetParam());
  // A frame for each move, so that none is covered by another.
  options.defragmentation_frames = 1'000'000'000;
  const RegionFilm film = FilmWorkload(options);
  ASSERT_FALSE(film.workload.empty());
  // One more than asked for, where frames do not divide time.
  EXPECT_LE(film.workload.size(), 21u);
  EXPECT_EQ(film.defragmentation.size(), film.report.moved_blocks());
  uint64_t evacuated_bytes = 0;
  uint64_t slid_bytes = 0;
  for (const auto* act : {&film.workload, &film.defragmentation}) {
    EXPECT_TRUE(std::ranges::is_sorted(*act, {}, &FilmFrame::time));
    for (const FilmFrame& frame : *act) {
      EXPECT_LE(frame.cells.size(), film.columns);
      uint64_t used_bytes = 0;
      for (const FilmCell& cell : frame.cells) {
        EXPECT_LE(cell.used_bytes, film.cell_bytes);
        used_bytes += cell.used_bytes;
        evacuated_bytes += cell.evacuated_bytes;
        slid_bytes += cell.slid_bytes;
      }
      EXPECT_EQ(used_bytes, frame.live_bytes);
      EXPECT_GE(frame.held_bytes, frame.end_bytes);
    }
  }
  EXPECT_EQ(evacuated_bytes, film.report.evacuated_bytes);
  EXPECT_EQ(slid_bytes, film.report.slid_bytes);
  EXPECT_EQ(film.before().fragmentation, film.report.fragmentation_before);
  EXPECT_EQ(film.after().fragmentation, film.report.fragmentation_after);
  EXPECT_EQ(film.after().fragmentation, 0);
  EXPECT_EQ(film.before().end_bytes - film.after().end_bytes, film.report.reclaimed_bytes);
}

TEST_P(WorkloadFilmTest, ThePictureIsOneElementThatNeedsNothingElse) {
  const FilmOptions options = SmallWorkload(GetParam());
  const RegionFilm film = FilmWorkload(options);
  EXPECT_LE(film.defragmentation.size(), 11u);
  const std::string svg = RenderFilmSvg(film, CaptionOf(film, options.workload));
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  for (const char* foreign : {"<script", "href", "src=", "url(", "@import", "nan", "inf\""}) {
    EXPECT_THAT(svg, Not(HasSubstr(foreign)));
  }
  for (const char* label : {"before", "after", "fragmentation", "the workload: allocated",
                            "address; a cell is", "PMDK promises"}) {
    EXPECT_THAT(svg, HasSubstr(label));
  }
}

INSTANTIATE_TEST_SUITE_P(W, WorkloadFilmTest, testing::Range(0, kFragmentationWorkloads));

TEST(WorkloadFilm, IsTheSameEveryTime) {
  const FilmCaption caption = {"t", "s", -1};
  EXPECT_EQ(RenderFilmSvg(FilmWorkload(SmallWorkload(5)), caption),
            RenderFilmSvg(FilmWorkload(SmallWorkload(5)), caption));
}

// Ten bytes a cell; in the second row two cells have come into a hole.
RegionFilm SmallFilm() {
  RegionFilm film{.cell_bytes = 10,
                  .columns = 4,
                  .workload = {},
                  .phases = {{0, 10, 20}},
                  .defragmentation = {},
                  .operations = 9,
                  .report = {}};
  film.workload.push_back({.time = 100,
                           .live_bytes = 25,
                           .end_bytes = 40,
                           .held_bytes = 40,
                           .fragmentation = 0.6,
                           .cells = {{10}, {0}, {5}, {10}}});
  film.defragmentation.push_back({.time = 10,
                                  .live_bytes = 25,
                                  .end_bytes = 25,
                                  .held_bytes = 30,
                                  .fragmentation = 0,
                                  .cells = {{10}, {10, 10}, {5}}});
  film.report.evacuated_bytes = 10;
  film.report.reclaimed_bytes = 15;
  return film;
}

TEST(RenderFilmText, DrawsASmallFilmAsItIs) {
  const std::string text = RenderFilmText(SmallFilm(), {"title", "subtitle", 0.1});
  EXPECT_THAT(text, HasSubstr("title\nsubtitle\n"));
  EXPECT_THAT(text, HasSubstr("       100 B  █·▒█       40 B      40 B  60.0 %\n"));
  EXPECT_THAT(text, HasSubstr("        10 B  █o▒        25 B      30 B     0 %\n"));
  EXPECT_THAT(text, HasSubstr("       after  ██▒        25 B      30 B     0 %\n"));
}

TEST(RenderFilmSvg, DrawsASmallFilmAsItIs) {
  const std::string svg = RenderFilmSvg(SmallFilm(), {"a <title>", "subtitle", 0.1});
  EXPECT_THAT(svg, HasSubstr("a &lt;title&gt;"));
  // Two full cells in the first row, at 0 and at 3, and one of half the density at 2.
  EXPECT_THAT(svg, HasSubstr("stroke-opacity=\"1\" d=\"M0 0h1M3 0h1\""));
  EXPECT_TRUE(std::regex_search(svg, std::regex("class=\"u\"[^>]*d=\"M2 0h1\"")));
  EXPECT_TRUE(std::regex_search(svg, std::regex("class=\"i\"[^>]*d=\"M1 0h1\"")));
  EXPECT_THAT(svg, HasSubstr("10 B were moved, and the end fell by 15 B; fragmentation 60.0 % "
                             "before, 0 % after (PMDK promises 10 %)."));
}

TEST(RenderFilmSvg, SaysThatNothingHadToBeMoved) {
  RegionFilm film = SmallFilm();
  film.defragmentation.clear();
  film.report = {};
  EXPECT_THAT(RenderFilmSvg(film, {"t", "s", -1}), HasSubstr(">nothing had to be moved<"));
  EXPECT_THAT(RenderFilmText(film, {"t", "s", -1}), HasSubstr("nothing had to be moved"));
}

TEST(WorkloadPicture, OfAnotherCaseIsNothing) {
  EXPECT_EQ(WorkloadPictures().size(), 10u);
  EXPECT_FALSE(WorkloadPicture("compaction/space_workload/W10"));
  EXPECT_FALSE(WorkloadPicture(""));
}

}  // namespace
}  // namespace granary::bench
