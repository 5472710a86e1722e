#include "app/screen/screen_session.hpp"

#include <gtest/gtest.h>

#include "app/screen/testing/fake_screen.hpp"
#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

class ScreenSessionTest : public testing::Test {
protected:
    void SetUp() override {
        auto made = EventLoop::create();
        ASSERT_TRUE(made);
        loop = std::move(*made);
        auto feeder = KeyFeeder::create(*loop, input);
        ASSERT_TRUE(feeder);
        keys = std::move(*feeder);
    }
    std::string ask(std::string_view request) {
        answers.clear();
        session.received(request);
        return answers;
    }

    std::unique_ptr<EventLoop> loop;
    FakeScreen screen;
    RecordingInput input;
    std::unique_ptr<KeyFeeder> keys;
    std::string answers;
    ScreenSession session{{.display = &screen,
                           .input = &input,
                           .keys = nullptr,
                           .send = [this](std::string_view bytes) { answers += bytes; }}};
};

TEST_F(ScreenSessionTest, GivesAPictureLineByLine) {
    EXPECT_EQ(ask("frame\n"), "ok 2 3 0 3\n");
    EXPECT_EQ(ask("lines 1 2\n"), std::string("ok 16\n\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0", 22));
    screen.change = {false, 1, 2};
    EXPECT_EQ(ask("frame\n"), "ok 2 3 1 2\n");
}

TEST_F(ScreenSessionTest, LinesThatThereAreNot) {
    for (const char* const request :
         {"lines 0 1\n", "lines -1 1\n", "lines 0 0\n", "lines 0\n", "lines 0 x\n", "lines 0 1 2\n",
          "lines 99999999999999 1\n", "lines 2147483647 2147483647\n"})
        EXPECT_TRUE(ask(request).starts_with("error ")) << request;
    (void)ask("frame\n");
    EXPECT_TRUE(ask("lines 2 2\n").starts_with("error "));
}

TEST_F(ScreenSessionTest, TextOrNone) {
    EXPECT_TRUE(ask("text\n").starts_with("error the screen shows graphics"));
    screen.characters = "hello\n";
    EXPECT_EQ(ask("text\n"), "ok 6\nhello\n");
}

TEST_F(ScreenSessionTest, MovesThePointer) {
    EXPECT_EQ(ask("pointer 3 -4 1 255\n"), "ok\n");
    ASSERT_EQ(input.pointers.size(), 1U);
    EXPECT_EQ(input.pointers[0].dy, -4);
    EXPECT_EQ(input.pointers[0].buttons, 0x1F);
    EXPECT_TRUE(ask("pointer 3 -4 1\n").starts_with("error "));
}

TEST_F(ScreenSessionTest, WithoutAKeyboard) {
    EXPECT_TRUE(ask("key 30 1\n").starts_with("error the VM has no keyboard"));
}

TEST_F(ScreenSessionTest, KeysAreTypedOneByOne) {
    ScreenSession typing(
        {.keys = keys.get(), .send = [this](std::string_view bytes) { answers += bytes; }});
    typing.received("key 30 1\nkey 30 0\nkey 0 1\nkey 256 1\nkey 30\n");
    EXPECT_TRUE(answers.starts_with("ok\nok\nerror key takes"));
    EXPECT_EQ(input.keys, "");
    const auto stop = Ticker::create(*loop, std::chrono::milliseconds(5), [&] {
        if (input.keys == "30+30-") loop->stop();
    });
    loop->run();
    EXPECT_EQ(input.keys, "30+30-");
}

TEST_F(ScreenSessionTest, TooManyKeysAreRefused) {
    input.ready = false;
    for (size_t i = 0; i < KeyFeeder::kMostWaiting; ++i)
        ASSERT_TRUE(keys->add({{30}, true}));
    EXPECT_FALSE(keys->add({{30}, true}));
}

TEST_F(ScreenSessionTest, RequestsComeInAnyPieces) {
    EXPECT_EQ(ask("fra"), "");
    EXPECT_EQ(ask("me\nfra"), "ok 2 3 0 3\n");
    session.reset();
    EXPECT_EQ(ask("frame\n"), "ok 2 3 0 3\n");
    EXPECT_TRUE(ask("fly\n\n").starts_with("error "));
    EXPECT_EQ(ask(std::string(1000, 'x') + "\n"), "error the request is too long\n");
    EXPECT_EQ(ask("frame\n").substr(0, 3), "ok ");
}

}  // namespace
}  // namespace banyan
