#include "renderer.hpp"

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_GLYPH_H
#include FT_OUTLINE_H
#include FT_TRIGONOMETRY_H

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>
#include <type_traits>

namespace digits {
namespace {

// FreeType counts in 1/64 pixel; kGlyphHeight is the height of a stored outline.
constexpr FT_Pos kPixel = 64;
constexpr FT_Pos kGlyphHeight = 64 * kPixel;
constexpr double kFixedOne = 65536;

// Every picture keeps a margin of one pixel.
constexpr FT_Pos kRoom = (kSide - 2) * kPixel;

struct Range {
  double low;
  double high;
};
constexpr Range kHeight = {14, 24};          // pixels
constexpr Range kWidth = {0.85, 1.15};       // of the face's own
constexpr Range kRotation = {-15, 15};       // degrees
constexpr Range kShear = {-0.2, 0.2};        // pixels to the right for a pixel up
constexpr Range kShift = {-3, 3};            // pixels from the middle, on each axis
constexpr Range kEmbolden = {-0.008, 0.03};  // added to a stroke, of the digit's height
constexpr Range kBlur = {0, 0.25};           // weight of each neighbour
constexpr Range kPaper = {0, 0.15};
constexpr Range kInk = {0.6, 1};
constexpr Range kNoise = {0, 0.08};  // standard deviation

// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
// Generators", 2014). The standard library's distributions differ between
// implementations, so the mappings are ours.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t bits() {
    state_ += kGamma;
    return mix(state_);
  }

  double uniform(Range range) {
    return range.low + (range.high - range.low) * (static_cast<double>(bits() >> 11) * 0x1p-53);
  }

  size_t below(size_t n) { return static_cast<size_t>((bits() >> 32) * n >> 32); }

  // The sum of four uniforms, centred, with unit variance: normal enough for noise.
  float bell() {
    const uint64_t b = bits();
    const auto sum = static_cast<int32_t>((b & 0xffff) + (b >> 16 & 0xffff) + (b >> 32 & 0xffff) + (b >> 48));
    return static_cast<float>(sum - 2 * 0xffff) * (1.7320508f / 0x10000);
  }

  // A generator for picture `index` of the stream `seed`, unrelated to its neighbours'.
  static Random of(uint64_t seed, uint64_t index) { return Random(mix(mix(seed + kGamma) ^ index)); }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15;

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

// An outline centred on the origin and kGlyphHeight tall. The element types
// follow FT_Outline, whose signedness changed in FreeType 2.13.3.
struct Glyph {
  std::vector<FT_Vector> points;
  std::vector<std::remove_pointer_t<decltype(FT_Outline::tags)>> tags;
  std::vector<std::remove_pointer_t<decltype(FT_Outline::contours)>> contours;
};

using Face = std::array<Glyph, kClasses>;

struct Library {
  Library() {
    if (FT_Init_FreeType(&handle)) throw std::runtime_error("digits: FreeType doesn't start");
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { FT_Done_FreeType(handle); }

  FT_Library handle = nullptr;
};

using FontFiles = std::map<std::string, std::string, std::less<>>;

// Paths by file name. Of several with one name the smallest path counts, so
// that the order of the directories doesn't matter.
FontFiles scan(const std::string& root) {
  namespace fs = std::filesystem;
  FontFiles files;
  std::error_code error;
  fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::string path = it->path().string();
    auto [entry, added] = files.try_emplace(it->path().filename().string(), path);
    if (!added && path < entry->second) entry->second = std::move(path);
  }
  return files;
}

// Names every missing package at once: installing them one error at a time is no fun.
void check_fonts(const std::vector<Family>& wanted, const FontFiles& files, const std::string& root) {
  std::string first;
  std::set<std::string_view> packages;
  for (const Family& family : wanted)
    for (std::string_view file : family.files)
      if (!files.contains(file)) {
        if (first.empty()) first = "'" + std::string(file) + "' (family " + std::string(family.name) + ")";
        packages.insert(family.package);
      }
  if (packages.empty()) return;
  std::string message = "digits: expected the font " + first + " under '" + root +
                        "', found no such file; install the Debian fonts that are missing: apt-get install";
  for (std::string_view package : packages) message.append(" ").append(package);
  throw std::runtime_error(message);
}

Glyph load_glyph(FT_Face face, int digit, const std::string& path) {
  const FT_UInt index = FT_Get_Char_Index(face, static_cast<FT_ULong>('0' + digit));
  if (index == 0 || FT_Load_Glyph(face, index, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) ||
      face->glyph->format != FT_GLYPH_FORMAT_OUTLINE || face->glyph->outline.n_points == 0)
    throw std::runtime_error("digits: expected an outline of '" + std::to_string(digit) + "' in '" + path +
                             "', found none");
  FT_Outline& outline = face->glyph->outline;
  FT_BBox box;
  FT_Outline_Get_BBox(&outline, &box);
  const FT_Fixed scale = FT_DivFix(kGlyphHeight, std::max<FT_Pos>(1, box.yMax - box.yMin));
  const FT_Matrix matrix = {scale, 0, 0, scale};
  FT_Outline_Translate(&outline, -(box.xMin + box.xMax) / 2, -(box.yMin + box.yMax) / 2);
  FT_Outline_Transform(&outline, &matrix);
  Glyph glyph;
  glyph.points.assign(outline.points, outline.points + outline.n_points);
  glyph.tags.assign(outline.tags, outline.tags + outline.n_points);
  glyph.contours.assign(outline.contours, outline.contours + outline.n_contours);
  return glyph;
}

Face load_face(const Library& library, const std::string& path) {
  FT_Face face = nullptr;
  if (FT_New_Face(library.handle, path.c_str(), 0, &face))
    throw std::runtime_error("digits: FreeType can't read the font '" + path + "'");
  const std::unique_ptr<FT_FaceRec_, FT_Error (*)(FT_Face)> closer(face, FT_Done_Face);
  if (FT_Set_Pixel_Sizes(face, 0, 256))
    throw std::runtime_error("digits: expected a font that scales, got '" + path + "'");
  Face digits;
  for (int digit = 0; digit < kClasses; ++digit) digits[digit] = load_glyph(face, digit, path);
  return digits;
}

// Scales to the drawn size, widens and shears, then turns.
FT_Matrix random_matrix(Random& random) {
  const double height = random.uniform(kHeight) * kPixel / kGlyphHeight * kFixedOne;
  const double width = height * random.uniform(kWidth);
  const double shear = height * random.uniform(kShear);
  // FreeType's own sine: the C library's may differ in the last bit.
  const auto angle = static_cast<FT_Angle>(random.uniform(kRotation) * kFixedOne);
  const FT_Fixed cosine = FT_Cos(angle);
  const FT_Fixed sine = FT_Sin(angle);
  FT_Matrix matrix = {static_cast<FT_Fixed>(width), static_cast<FT_Fixed>(shear), 0, static_cast<FT_Fixed>(height)};
  const FT_Matrix rotation = {cosine, -sine, sine, cosine};
  FT_Matrix_Multiply(&rotation, &matrix);
  return matrix;
}

FT_Pos shift_within(FT_Pos size, Random& random) {
  const FT_Pos slack = (kRoom - size) / 2;
  return std::clamp(static_cast<FT_Pos>(random.uniform(kShift) * kPixel), -slack, slack);
}

// Moves the outline to a random place inside the picture, shrunk first if it has no room there.
void place(FT_Outline& outline, Random& random) {
  FT_BBox box;
  FT_Outline_Get_CBox(&outline, &box);
  const FT_Pos extent = std::max(box.xMax - box.xMin, box.yMax - box.yMin);
  if (extent > kRoom) {
    // Rounding can add a unit on either side.
    const FT_Fixed scale = FT_DivFix(kRoom - 2, extent);
    const FT_Matrix shrink = {scale, 0, 0, scale};
    FT_Outline_Transform(&outline, &shrink);
    FT_Outline_Get_CBox(&outline, &box);
  }
  const FT_Pos middle = kSide * kPixel / 2;
  const FT_Pos x = middle - (box.xMin + box.xMax) / 2 + shift_within(box.xMax - box.xMin, random);
  const FT_Pos y = middle - (box.yMin + box.yMax) / 2 + shift_within(box.yMax - box.yMin, random);
  FT_Outline_Translate(&outline, x, y);
}

using Coverage = std::array<uint8_t, kPixels>;

// Blurs, then maps coverage to brightness between paper and ink, with noise.
void shade(const Coverage& coverage, Random& random, float* image) {
  // One pixel of paper around the picture, so that the blur has neighbours at the edge.
  constexpr int kStride = kSide + 2;
  const auto side = static_cast<float>(random.uniform(kBlur));
  const float centre = 1 - 2 * side;
  std::array<float, kStride * kStride> padded{};
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x)
      padded[(y + 1) * kStride + x + 1] = static_cast<float>(coverage[y * kSide + x]) * (1.f / 255);
  std::array<float, kSide * kStride> columns;
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kStride; ++x) {
      const float* p = &padded[y * kStride + x];
      columns[y * kStride + x] = centre * p[kStride] + side * (p[0] + p[2 * kStride]);
    }
  const auto paper = static_cast<float>(random.uniform(kPaper));
  const float contrast = static_cast<float>(random.uniform(kInk)) - paper;
  const auto noise = static_cast<float>(random.uniform(kNoise));
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const float* p = &columns[y * kStride + x];
      const float ink = centre * p[1] + side * (p[0] + p[2]);
      image[y * kSide + x] = std::clamp(paper + contrast * ink + noise * random.bell(), 0.f, 1.f);
    }
}

const std::vector<Family>& train_families() {
  static const std::vector<Family> families = {
      {"DejaVu Sans", "fonts-dejavu-core", {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf"}},
      {"DejaVu Serif", "fonts-dejavu-core", {"DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf"}},
      {"DejaVu Sans Mono", "fonts-dejavu-core", {"DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"}},
      {"Liberation Sans", "fonts-liberation", {"LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"}},
      {"Liberation Serif",
       "fonts-liberation",
       {"LiberationSerif-Regular.ttf", "LiberationSerif-Bold.ttf", "LiberationSerif-Italic.ttf"}},
      {"Liberation Mono", "fonts-liberation", {"LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"}},
      {"Open Sans",
       "fonts-open-sans",
       {"OpenSans-Light.ttf", "OpenSans-Regular.ttf", "OpenSans-Italic.ttf", "OpenSans-Bold.ttf"}},
      {"Comfortaa", "fonts-comfortaa", {"Comfortaa-Regular.ttf", "Comfortaa-Bold.ttf"}},
      {"Inconsolata", "fonts-inconsolata", {"Inconsolata.otf"}},
      {"Caladea", "fonts-crosextra-caladea", {"Caladea-Regular.ttf", "Caladea-Italic.ttf", "Caladea-Bold.ttf"}},
      {"Quicksand", "fonts-quicksand", {"Quicksand-Regular.ttf", "Quicksand-Medium.ttf", "Quicksand-Bold.ttf"}},
      {"GFS Didot", "fonts-gfs-didot", {"GFSDidot.otf", "GFSDidotBold.otf"}},
      {"Old Standard", "fonts-oldstandard", {"OldStandard-Regular.ttf", "OldStandard-Bold.ttf"}},
      {"Karla", "fonts-karla", {"Karla-Light.otf", "Karla-Regular.otf", "Karla-Bold.otf"}},
      {"Courier Prime",
       "fonts-courier-prime",
       {"Courier Prime.otf", "Courier Prime Italic.otf", "Courier Prime Bold.otf"}},
      {"Universalis ADF",
       "fonts-adf-universalis",
       {"UniversalisADFStd-Regular.otf", "UniversalisADFStd-Bold.otf", "UniversalisADFStd-Cond.otf"}},
      {"Lobster Two", "fonts-lobstertwo", {"LobsterTwo-Regular.otf", "LobsterTwo-Bold.otf"}},
      {"Yanone Kaffeesatz", "fonts-yanone-kaffeesatz", {"YanoneKaffeesatz-Regular.otf", "YanoneKaffeesatz-Bold.otf"}},
      {"Jura", "fonts-jura", {"Jura-Regular.otf", "Jura-Bold.otf"}},
      {"League Spartan", "fonts-league-spartan", {"LeagueSpartan-Regular.otf", "LeagueSpartan-Bold.otf"}},
      {"Tomson Talks", "fonts-tomsontalks", {"TomsonTalks.ttf"}},
      {"Humor Sans", "fonts-humor-sans", {"Humor-Sans.ttf"}},
  };
  return families;
}

const std::vector<Family>& held_out_families() {
  static const std::vector<Family> families = {
      {"Carlito", "fonts-crosextra-carlito", {"Carlito-Regular.ttf", "Carlito-Italic.ttf", "Carlito-Bold.ttf"}},
      {"Cantarell", "fonts-cantarell", {"Cantarell-Regular.otf", "Cantarell-Bold.otf"}},
      {"Gentium Basic", "fonts-sil-gentium-basic", {"GenBasR.ttf", "GenBasI.ttf", "GenBasB.ttf"}},
      {"Comic Neue", "fonts-comic-neue", {"ComicNeue-Light.otf", "ComicNeue-Regular.otf", "ComicNeue-Bold.otf"}},
      {"Anonymous Pro", "fonts-anonymous-pro", {"Anonymous Pro.ttf", "Anonymous Pro B.ttf"}},
      {"Play", "fonts-play", {"Play-Regular.ttf", "Play-Bold.ttf"}},
  };
  return families;
}

}  // namespace

const std::vector<Family>& families(Split split) {
  return split == Split::kTrain ? train_families() : held_out_families();
}

struct Renderer::Press {
  Library library;
  std::vector<std::vector<Face>> families;
  uint64_t seed = 0;
  uint64_t index = 0;  // of the next picture
  std::vector<FT_Vector> points;
  Coverage coverage;

  int64_t draw(float* image) {
    Random random = Random::of(seed, index++);
    const size_t digit = random.below(kClasses);
    const std::vector<Face>& faces = families[random.below(families.size())];
    stamp(faces[random.below(faces.size())][digit], random);
    shade(coverage, random, image);
    return static_cast<int64_t>(digit);
  }

  void stamp(const Glyph& glyph, Random& random) {
    points = glyph.points;
    FT_Outline outline{};
    outline.n_points = static_cast<decltype(outline.n_points)>(points.size());
    outline.n_contours = static_cast<decltype(outline.n_contours)>(glyph.contours.size());
    outline.points = points.data();
    // FreeType's interface isn't const, but only the points are written.
    outline.tags = const_cast<decltype(outline.tags)>(glyph.tags.data());
    outline.contours = const_cast<decltype(outline.contours)>(glyph.contours.data());

    FT_Outline_Embolden(&outline, static_cast<FT_Pos>(random.uniform(kEmbolden) * kGlyphHeight));
    const FT_Matrix matrix = random_matrix(random);
    FT_Outline_Transform(&outline, &matrix);
    place(outline, random);

    coverage.fill(0);
    FT_Bitmap bitmap{};
    bitmap.rows = bitmap.width = kSide;
    bitmap.pitch = kSide;
    bitmap.buffer = coverage.data();
    bitmap.num_grays = 256;
    bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
    if (FT_Outline_Get_Bitmap(library.handle, &outline, &bitmap))
      throw std::runtime_error("digits: FreeType can't draw an outline");
  }
};

Renderer::Renderer(Split split, uint64_t seed, const std::string& font_root) : press_(std::make_unique<Press>()) {
  const FontFiles files = scan(font_root);
  check_fonts(families(split), files, font_root);
  // The splits also differ in their poses, so that a shared seed shares nothing.
  press_->seed = split == Split::kTrain ? seed : ~seed;
  for (const Family& family : families(split)) {
    std::vector<Face>& faces = press_->families.emplace_back();
    for (std::string_view file : family.files) faces.push_back(load_face(press_->library, files.find(file)->second));
  }
}

Renderer::Renderer(Renderer&&) noexcept = default;
Renderer& Renderer::operator=(Renderer&&) noexcept = default;
Renderer::~Renderer() = default;

Batch Renderer::next(int n) {
  if (n < 0) throw std::invalid_argument("digits: expected a batch of 0 or more pictures, got " + std::to_string(n));
  Batch batch;
  batch.images.resize(static_cast<size_t>(n) * kPixels);
  batch.labels.resize(static_cast<size_t>(n));
  fill(batch.images, batch.labels);
  return batch;
}

void Renderer::fill(std::span<float> images, std::span<int64_t> labels) {
  if (images.size() != labels.size() * kPixels)
    throw std::invalid_argument("digits: expected " + std::to_string(labels.size() * kPixels) + " floats for " +
                                std::to_string(labels.size()) + " labels, got " + std::to_string(images.size()));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = press_->draw(&images[i * kPixels]);
}

std::string ascii(const float* image) {
  constexpr std::string_view kRamp = " .:-=+*#%@";
  std::string text;
  text.reserve(kSide / 2 * (kSide + 1));
  // A character is about twice as tall as it is wide: one for two pixels.
  for (int y = 0; y < kSide; y += 2) {
    for (int x = 0; x < kSide; ++x) {
      const float mean = (image[y * kSide + x] + image[(y + 1) * kSide + x]) / 2;
      const auto level = static_cast<size_t>(std::clamp(mean, 0.f, 1.f) * kRamp.size());
      text += kRamp[std::min(level, kRamp.size() - 1)];
    }
    text += '\n';
  }
  return text;
}

}  // namespace digits
