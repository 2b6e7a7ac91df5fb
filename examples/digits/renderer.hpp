#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// An endless stream of labelled pictures of the digits 0 to 9, drawn from the
// fonts that Debian packages: a data set that needs no download of its own.
namespace digits {

inline constexpr int kSide = 28;
inline constexpr int kPixels = kSide * kSide;
inline constexpr int kClasses = 10;

// Training and held-out pictures come from different font families, and no
// package or related design is on both sides, so accuracy on kHeldOut is
// accuracy on typefaces that training never saw. fonts.md lists them.
enum class Split { kTrain, kHeldOut };

// A typeface in its weights and slopes.
struct Family {
  std::string_view name;
  std::string_view package;  // the Debian package that installs it
  std::vector<std::string_view> files;
};

const std::vector<Family>& families(Split split);

struct Batch {
  std::vector<float> images;    // [n, 1, 28, 28], row-major, in [0, 1]: ink is bright, paper dark
  std::vector<int64_t> labels;  // [n], the digits
};

// Draws each picture with a random digit, family, face, height (14 to 24
// pixels), width, rotation (up to 15 degrees either way), shear, shift (up to 3
// pixels, never out of the picture), stroke weight, blur, contrast and noise.
//
// Picture i depends on the split, the seed and i only: two renderers with the
// same seed agree, however the pictures are cut into batches. Not thread-safe;
// renderers on different threads share nothing.
class Renderer {
 public:
  // Searches `font_root` and the folders under it for the split's font files.
  // Throws std::runtime_error naming the Debian packages to install when some
  // are missing.
  Renderer(Split split, uint64_t seed, const std::string& font_root = "/usr/share/fonts");
  Renderer(Renderer&&) noexcept;
  Renderer& operator=(Renderer&&) noexcept;
  ~Renderer();

  // The next n pictures. Throws std::invalid_argument for a negative n.
  Batch next(int n);

  // The next labels.size() pictures, into the caller's memory: `images` holds
  // 784 floats for each label, else std::invalid_argument is thrown.
  void fill(std::span<float> images, std::span<int64_t> labels);

 private:
  struct Press;
  std::unique_ptr<Press> press_;
};

// A picture of 784 floats as 14 lines of 28 characters, for a terminal.
std::string ascii(const float* image);

}  // namespace digits
