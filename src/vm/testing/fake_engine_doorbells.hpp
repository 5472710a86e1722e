// Stands in for an engine that takes doorbells: a test rings what the machine has placed.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "vm/doorbells.hpp"

namespace banyan {

class FakeEngineDoorbells final : public EngineDoorbells {
public:
    Result<std::unique_ptr<Doorbell>> create(DoorbellClient& client, unsigned cookie) override {
        return std::make_unique<Bell>(*this, client, cookie);
    }
    void deliver() override {}

    // A guest's write. False: nothing is placed there.
    bool ring(uint64_t gpa) {
        const auto found = placed.find(gpa);
        if (found == placed.end()) return false;
        found->second->client.on_doorbell(found->second->cookie);
        return true;
    }

    struct Bell final : Doorbell {
        Bell(FakeEngineDoorbells& engine, DoorbellClient& whom, unsigned number)
            : owner(engine), client(whom), cookie(number) {}
        ~Bell() override { remove(); }
        bool place(Gpa gpa) override {
            ++owner.asked;
            if (owner.refuse) return false;
            owner.placed[gpa.value] = this;
            return true;
        }
        void remove() override {
            std::erase_if(owner.placed, [this](const auto& entry) { return entry.second == this; });
        }
        FakeEngineDoorbells& owner;
        DoorbellClient& client;
        const unsigned cookie;
    };

    std::map<uint64_t, Bell*> placed;
    unsigned asked = 0;
    bool refuse = false;
};

}  // namespace banyan
