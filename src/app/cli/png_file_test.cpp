#include "app/cli/png_file.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <png.h>

namespace banyan {
namespace {

TEST(PngFile, HoldsThePicture) {
    const std::string path = testing::TempDir() + "banyan-picture.png";
    const DisplayFrame frame{2, 2, {0xFF0000, 0x00FF00, 0x0000FF, 0x123456}};
    ASSERT_TRUE(write_png(frame, path));
    ASSERT_TRUE(write_png(frame, path)) << "the old one is replaced";

    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_NE(::png_image_begin_read_from_file(&image, path.c_str()), 0);
    image.format = PNG_FORMAT_RGB;
    ASSERT_EQ(image.width, 2U);
    ASSERT_EQ(image.height, 2U);
    std::vector<uint8_t> bytes(12);
    ASSERT_NE(::png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr), 0);
    EXPECT_EQ(bytes, (std::vector<uint8_t>{0xFF, 0, 0, 0, 0xFF, 0, 0, 0, 0xFF, 0x12, 0x34, 0x56}));
    std::filesystem::remove(path);
}

TEST(PngFile, PlacesThatThereAreNot) {
    const auto written = write_png({1, 1, {0}}, "/nowhere/picture.png");
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().text().find("/nowhere/picture.png"), std::string::npos);
}

}  // namespace
}  // namespace banyan
