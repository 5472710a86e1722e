#include "cpu/kvm/kvm_doorbells.hpp"

#include <algorithm>
#include <optional>

#include "host/posix/notifier.hpp"

namespace banyan::kvm {

class KvmDoorbells::Bell final : public Doorbell {
public:
    Bell(KvmDoorbells& owner, DoorbellClient& client, unsigned cookie)
        : owner_(owner), client_(client), cookie_(cookie) {
        owner_.bells_.push_back(this);
    }
    ~Bell() override {
        remove();
        std::erase(owner_.bells_, this);
    }

    // Once.
    Result<void> connect() {
        TRY_ASSIGN(notifier,
                   Notifier::create(owner_.poller_, [this] { client_.on_doorbell(cookie_); }));
        notifier_ = std::move(notifier);
        return {};
    }

    bool place(Gpa gpa) override {
        remove();
        if (!tell(gpa, 0)) return false;
        place_ = gpa;
        return true;
    }

    void remove() override {
        if (place_) tell(*place_, KVM_IOEVENTFD_FLAG_DEASSIGN);
        place_.reset();
    }

    void deliver() { notifier_->deliver(); }

private:
    // Length 0: writes of every width (KVM API 4.59, KVM_CAP_IOEVENTFD_ANY_LENGTH).
    bool tell(Gpa gpa, uint32_t flags) const {
        kvm_ioeventfd asked{};
        asked.addr = gpa.value;
        asked.fd = notifier_->handle();
        asked.flags = flags;
        return owner_.vm_.call_with(KVM_IOEVENTFD, asked) >= 0;
    }

    KvmDoorbells& owner_;
    DoorbellClient& client_;
    const unsigned cookie_;
    std::unique_ptr<Notifier> notifier_;
    std::optional<Gpa> place_;
};

bool KvmDoorbells::offered(const KvmHandle& system) {
    return system.capability(KVM_CAP_IOEVENTFD) > 0 &&
           system.capability(KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
}

Result<std::unique_ptr<Doorbell>> KvmDoorbells::create(DoorbellClient& client, unsigned cookie) {
    auto bell = std::make_unique<Bell>(*this, client, cookie);
    TRY(bell->connect());
    return bell;
}

void KvmDoorbells::deliver() {
    for (Bell* bell : bells_)
        bell->deliver();
}

}  // namespace banyan::kvm
