#include "renderer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>

namespace digits {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSplits = {Split::kTrain, Split::kHeldOut};

// A folder of its own for each test, removed with it.
class FontRoot {
 public:
  FontRoot() {
    std::string name = (fs::temp_directory_path() / "digits-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("can't make a temporary folder");
    path_ = name;
  }
  FontRoot(const FontRoot&) = delete;
  FontRoot& operator=(const FontRoot&) = delete;
  ~FontRoot() { fs::remove_all(path_); }

  // Links the fonts that the system has, but for those of `package`.
  void link_all_but(std::string_view package) {
    std::set<std::string_view> wanted;
    for (Split split : kSplits)
      for (const Family& family : families(split))
        if (family.package != package) wanted.insert(family.files.begin(), family.files.end());
    for (const auto& entry : fs::recursive_directory_iterator("/usr/share/fonts")) {
      const std::string name = entry.path().filename().string();
      if (wanted.erase(name)) fs::create_symlink(entry.path(), path_ / name);
    }
  }

  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

std::string error_of(Split split, const std::string& root) {
  try {
    Renderer(split, 1, root);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

using Centroids = std::array<std::array<double, kPixels>, kClasses>;

Centroids centroids(const Batch& batch) {
  Centroids sums{};
  std::array<double, kClasses> counts{};
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    counts[batch.labels[i]] += 1;
    for (int p = 0; p < kPixels; ++p) sums[batch.labels[i]][p] += batch.images[i * kPixels + p];
  }
  for (int digit = 0; digit < kClasses; ++digit)
    for (double& value : sums[digit]) value /= counts[digit];
  return sums;
}

template <class A, class B>
double distance(const A& a, const B& b) {
  double sum = 0;
  for (int p = 0; p < kPixels; ++p) sum += (a[p] - b[p]) * (a[p] - b[p]);
  return sum;
}

TEST(Renderer, SameSeedDrawsTheSamePictures) {
  for (Split split : kSplits) {
    const Batch a = Renderer(split, 7).next(50);
    const Batch b = Renderer(split, 7).next(50);
    EXPECT_EQ(a.images, b.images);
    EXPECT_EQ(a.labels, b.labels);
  }
}

TEST(Renderer, SeedsAndSplitsDrawDifferentPictures) {
  const Batch a = Renderer(Split::kTrain, 7).next(50);
  const Batch b = Renderer(Split::kTrain, 8).next(50);
  const Batch c = Renderer(Split::kHeldOut, 7).next(50);
  EXPECT_NE(a.images, b.images);
  EXPECT_NE(a.labels, b.labels);
  EXPECT_NE(a.labels, c.labels);
}

TEST(Renderer, BatchSizeDoesNotChangeTheStream) {
  const Batch whole = Renderer(Split::kTrain, 3).next(8);
  Renderer renderer(Split::kTrain, 3);
  Batch parts = renderer.next(3);
  EXPECT_TRUE(renderer.next(0).images.empty());
  const Batch rest = renderer.next(5);
  parts.images.insert(parts.images.end(), rest.images.begin(), rest.images.end());
  parts.labels.insert(parts.labels.end(), rest.labels.begin(), rest.labels.end());
  EXPECT_EQ(whole.images, parts.images);
  EXPECT_EQ(whole.labels, parts.labels);
}

TEST(Renderer, NoPictureComesTwice) {
  const Batch batch = Renderer(Split::kHeldOut, 5).next(2000);
  std::set<std::vector<float>> seen;
  for (auto it = batch.images.begin(); it != batch.images.end(); it += kPixels) seen.emplace(it, it + kPixels);
  EXPECT_EQ(seen.size(), 2000u);
}

TEST(Renderer, PixelsLieBetweenZeroAndOneWithInkAndPaperInEach) {
  for (Split split : kSplits) {
    const Batch batch = Renderer(split, 11).next(3000);
    ASSERT_EQ(batch.images.size(), 3000u * kPixels);
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      const auto picture = std::span(batch.images).subspan(i * kPixels, kPixels);
      const auto [low, high] = std::minmax_element(picture.begin(), picture.end());
      ASSERT_GE(*low, 0.f);
      ASSERT_LE(*high, 1.f);
      ASSERT_LT(*low, 0.2f) << i;
      ASSERT_GT(*high, 0.3f) << i;
    }
  }
}

TEST(Renderer, DigitsKeepClearOfTheEdge) {
  // The outermost pixels are paper (at most 0.15), noise, and what a blur adds.
  for (Split split : kSplits) {
    const Batch batch = Renderer(split, 13).next(3000);
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      const float* image = &batch.images[i * kPixels];
      std::array<float, 4> sides{};
      for (int k = 0; k < kSide; ++k) {
        sides[0] += image[k] / kSide;
        sides[1] += image[(kSide - 1) * kSide + k] / kSide;
        sides[2] += image[k * kSide] / kSide;
        sides[3] += image[k * kSide + kSide - 1] / kSide;
      }
      ASSERT_LT(*std::max_element(sides.begin(), sides.end()), 0.25f) << ascii(image);
    }
  }
}

TEST(Renderer, EveryDigitIsAsLikely) {
  for (Split split : kSplits) {
    std::map<int64_t, int> counts;
    for (int64_t label : Renderer(split, 17).next(10000).labels) ++counts[label];
    ASSERT_EQ(counts.size(), static_cast<size_t>(kClasses));
    for (auto [label, count] : counts) {
      EXPECT_TRUE(label >= 0 && label < kClasses) << label;
      EXPECT_NEAR(count, 1000, 120) << label;
    }
  }
}

TEST(Renderer, DigitsDiffer) {
  for (Split split : kSplits) {
    const Centroids mean = centroids(Renderer(split, 19).next(3000));
    for (int a = 0; a < kClasses; ++a)
      for (int b = 0; b < a; ++b) EXPECT_GT(distance(mean[a], mean[b]), 0.5) << a << " and " << b;
  }
}

// Where the ink of a mean picture lies, in pixels from its top left corner.
struct Ink {
  double x = 0, y = 0;
  double width = 0;  // standard deviation of x
};

Ink ink_of(const std::array<double, kPixels>& mean) {
  const double paper = *std::min_element(mean.begin(), mean.end());
  Ink ink;
  double total = 0, squares = 0;
  for (int p = 0; p < kPixels; ++p) {
    const double weight = mean[p] - paper;
    total += weight;
    ink.x += weight * (p % kSide);
    ink.y += weight * (p / kSide);
    squares += weight * (p % kSide) * (p % kSide);
  }
  ink.x /= total;
  ink.y /= total;
  ink.width = std::sqrt(squares / total - ink.x * ink.x);
  return ink;
}

TEST(Renderer, LabelsNameTheShapesAndPicturesStandUpright) {
  for (Split split : kSplits) {
    const Centroids mean = centroids(Renderer(split, 31).next(5000));
    std::array<Ink, kClasses> ink;
    for (int digit = 0; digit < kClasses; ++digit) ink[digit] = ink_of(mean[digit]);
    const int middle = kSide / 2 * kSide + kSide / 2;
    for (int other = 0; other < kClasses; ++other) {
      EXPECT_TRUE(other == 0 || mean[0][middle] < mean[other][middle]) << "0 is hollow, against " << other;
      EXPECT_TRUE(other == 1 || ink[1].width < ink[other].width) << "1 is narrow, against " << other;
      EXPECT_TRUE(other == 7 || ink[7].y < ink[other].y) << "7 is heavy at the top, against " << other;
    }
    EXPECT_GT(ink[6].y, ink[9].y) << "the bowl of 6 is low, of 9 high";
    EXPECT_GT(ink[3].x, ink[6].x) << "3 is open to the left, 6 isn't";
  }
}

TEST(Renderer, SizesAndPlacesVary) {
  const Batch batch = Renderer(Split::kTrain, 37).next(2000);
  int lowest_top = 0, smallest = kSide, tallest = 0;
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    const auto picture = std::span(batch.images).subspan(i * kPixels, kPixels);
    const auto [low, high] = std::minmax_element(picture.begin(), picture.end());
    int top = kSide, bottom = 0;
    for (int p = 0; p < kPixels; ++p)
      if (picture[p] > (*low + *high) / 2) {
        top = std::min(top, p / kSide);
        bottom = std::max(bottom, p / kSide + 1);
      }
    lowest_top = std::max(lowest_top, top);
    smallest = std::min(smallest, bottom - top);
    tallest = std::max(tallest, bottom - top);
  }
  EXPECT_GE(lowest_top, 10);
  EXPECT_TRUE(smallest >= 10 && smallest <= 15) << smallest;
  EXPECT_TRUE(tallest >= 23 && tallest <= 26) << tallest;
}

TEST(Renderer, HeldOutPicturesResembleTheTrainingDigitTheyAreLabelled) {
  const Centroids mean = centroids(Renderer(Split::kTrain, 23).next(5000));
  const Batch batch = Renderer(Split::kHeldOut, 23).next(2000);
  int right = 0;
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    int best = 0;
    for (int digit = 1; digit < kClasses; ++digit)
      if (distance(mean[digit], &batch.images[i * kPixels]) < distance(mean[best], &batch.images[i * kPixels]))
        best = digit;
    right += best == batch.labels[i];
  }
  // Chance is 200; shifts and turns keep the nearest mean far from perfect.
  EXPECT_GT(right, 800);
}

TEST(Renderer, FillWritesTheSameStreamIntoTheCallersMemory) {
  const Batch batch = Renderer(Split::kTrain, 29).next(2);
  std::vector<float> images(2 * kPixels + 1, -1.f);
  std::array<int64_t, 2> labels{};
  Renderer(Split::kTrain, 29).fill(std::span(images).first(2 * kPixels), labels);
  EXPECT_TRUE(std::equal(batch.images.begin(), batch.images.end(), images.begin()));
  EXPECT_EQ(images.back(), -1.f);
  EXPECT_EQ(labels[1], batch.labels[1]);
}

TEST(Renderer, RefusesBuffersThatDoNotMatchAndNegativeCounts) {
  Renderer renderer(Split::kTrain, 1);
  std::vector<float> images(kPixels);
  std::array<int64_t, 2> labels{};
  EXPECT_THROW(renderer.fill(images, labels), std::invalid_argument);
  EXPECT_THROW(renderer.next(-1), std::invalid_argument);
}

TEST(Fonts, SplitsShareNoFamilyPackageOrFile) {
  std::set<std::string_view> names, packages, files;
  for (const Family& family : families(Split::kTrain)) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    packages.insert(family.package);
    files.insert(family.files.begin(), family.files.end());
  }
  EXPECT_GE(names.size(), 12u);
  EXPECT_GE(families(Split::kHeldOut).size(), 4u);
  for (const Family& family : families(Split::kHeldOut)) {
    EXPECT_FALSE(names.contains(family.name)) << family.name;
    EXPECT_FALSE(packages.contains(family.package)) << family.package;
    for (std::string_view file : family.files) EXPECT_FALSE(files.contains(file)) << file;
  }
}

TEST(Fonts, PageListsEveryFamilyUnderItsSplit) {
  std::ifstream file(fs::path(DIGITS_SOURCE_DIR) / "fonts.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const size_t held_out = page.find("## Held out");
  const size_t install = page.find("## To install");
  ASSERT_NE(held_out, std::string::npos);
  ASSERT_NE(install, std::string::npos);
  for (Split split : kSplits)
    for (const Family& family : families(split)) {
      const std::string row = "| " + std::string(family.name) + " | `" + std::string(family.package) + "` |";
      const size_t at = page.find(row);
      ASSERT_NE(at, std::string::npos) << row;
      EXPECT_EQ(at > held_out, split == Split::kHeldOut) << row;
      EXPECT_NE(page.find(family.package, install), std::string::npos) << family.package;
    }
}

TEST(Fonts, EmptyOrMissingRootNamesEveryPackage) {
  const FontRoot root;
  for (Split split : kSplits)
    for (const std::string& path : {root.path(), root.path() + "/none"}) {
      const std::string error = error_of(split, path);
      EXPECT_TRUE(contains(error, "apt-get install fonts-")) << error;
      EXPECT_TRUE(contains(error, "'" + path + "'")) << error;
      for (const Family& family : families(split)) EXPECT_TRUE(contains(error, family.package)) << error;
    }
}

TEST(Fonts, MissingFamilyNamesItsPackageOnly) {
  FontRoot root;
  root.link_all_but("fonts-quicksand");
  EXPECT_EQ(error_of(Split::kHeldOut, root.path()), "");
  const std::string error = error_of(Split::kTrain, root.path());
  EXPECT_TRUE(contains(error, "family Quicksand")) << error;
  EXPECT_TRUE(contains(error, "apt-get install fonts-quicksand")) << error;
  EXPECT_FALSE(contains(error, "fonts-karla")) << error;
}

TEST(Fonts, BrokenFileIsNamed) {
  FontRoot root;
  root.link_all_but("fonts-inconsolata");
  const std::string path = root.path() + "/Inconsolata.otf";
  std::ofstream(path) << "not a font";
  const std::string error = error_of(Split::kTrain, root.path());
  EXPECT_TRUE(contains(error, "'" + path + "'")) << error;
}

TEST(Ascii, DrawsBrightPixelsAsDenseCharacters) {
  std::vector<float> image(kPixels, 0.f);
  image[0] = image[kSide] = 1;  // both halves of the first character
  image[kPixels - 1] = 1;       // half of the last
  const std::string text = ascii(image.data());
  ASSERT_EQ(text.size(), 14u * 29);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 14);
  EXPECT_EQ(text[0], '@');
  EXPECT_EQ(text[1], ' ');
  EXPECT_EQ(text[text.size() - 2], '+');
}

}  // namespace
}  // namespace digits
