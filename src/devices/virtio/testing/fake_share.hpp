// A shared directory for tests of its device: notes what it is asked, and answers what it is told
// to.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vm/file_share.hpp"

namespace banyan {

class FakeShare final : public FsBackend {
public:
    void submit(const FsRequest& request, FsClient& client) override {
        ++submitted;
        last_message.clear();
        for (const auto part : request.in)
            last_message.append(reinterpret_cast<const char*>(part.data()), part.size());
        held_.push_back({request, &client});
        if (!holding_) drain();
    }
    void drain() override {
        while (complete_one()) {
        }
    }
    bool mounted() const override { return mounted_; }
    void reset() override {
        ++resets;
        mounted_ = false;
    }

    // While holding, requests complete by drain() and complete_one() only.
    void hold(bool on) { holding_ = on; }
    size_t held() const { return held_.size(); }
    void answer_with(std::string_view text) { answer_ = text; }
    void set_mounted(bool on) { mounted_ = on; }
    // The newest first. False when there is none.
    bool complete_one() {
        if (held_.empty()) return false;
        const Held one = held_.back();
        held_.pop_back();
        one.client->on_fs_complete(one.request.cookie, write_answer(one.request));
        return true;
    }

    unsigned submitted = 0;
    unsigned resets = 0;
    std::string last_message;

private:
    struct Held {
        FsRequest request;
        FsClient* client;
    };

    uint32_t write_answer(const FsRequest& request) const {
        size_t written = 0;
        for (const auto part : request.out) {
            const size_t count = std::min(part.size(), answer_.size() - written);
            std::memcpy(part.data(), answer_.data() + written, count);
            written += count;
        }
        return static_cast<uint32_t>(written);
    }

    std::vector<Held> held_;
    std::string answer_;
    bool holding_ = false;
    bool mounted_ = false;
};

}  // namespace banyan
