#include "devices/chipset/fw_cfg.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "devices/chipset/fw_cfg_state.hpp"
#include "snapshot/state.hpp"
#include "support/object_bytes.hpp"

namespace banyan {

namespace {

constexpr std::array<PortRange, 2> kFwCfgPorts{{{FwCfg::kSelectorPort, 2}, {FwCfg::kDmaPort, 8}}};

constexpr uint16_t kSignatureKey = 0x00;
constexpr uint16_t kFeaturesKey = 0x01;
constexpr uint16_t kDirectoryKey = 0x19;
// Flags of the selector: items of the architecture's own, and write access, which is not offered.
constexpr uint16_t kArchitectureItem = 0x8000;
constexpr uint16_t kWriteAccess = 0x4000;

constexpr uint8_t kTraditionalInterface = 1;
constexpr uint8_t kDmaInterface = 2;

// What the DMA port reads as, by which guests know that it is there.
constexpr std::array<uint8_t, 8> kDmaSignature{'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

constexpr uint32_t kDmaError = 0x01;
constexpr uint32_t kDmaRead = 0x02;
constexpr uint32_t kDmaSkip = 0x04;
constexpr uint32_t kDmaSelect = 0x08;
constexpr uint32_t kDmaWrite = 0x10;

// Everything that the interface has in memory is big-endian.
struct Be16 {
    uint8_t bytes[2];
};
struct Be32 {
    uint8_t bytes[4];
};
struct Be64 {
    uint8_t bytes[8];
};

constexpr uint32_t load(Be32 v) {
    return static_cast<uint32_t>(v.bytes[0]) << 24 | static_cast<uint32_t>(v.bytes[1]) << 16 |
           static_cast<uint32_t>(v.bytes[2]) << 8 | v.bytes[3];
}
constexpr uint64_t load(Be64 v) {
    uint64_t value = 0;
    for (const uint8_t byte : v.bytes)
        value = value << 8 | byte;
    return value;
}
constexpr Be32 be32(uint32_t v) {
    return {{static_cast<uint8_t>(v >> 24), static_cast<uint8_t>(v >> 16),
             static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)}};
}
constexpr Be16 be16(uint16_t v) {
    return {{static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)}};
}

struct DmaDescriptor {
    Be32 control;
    Be32 length;
    Be64 address;
};
static_assert(sizeof(DmaDescriptor) == 16);

struct DirectoryEntry {
    Be32 size;
    Be16 key;
    Be16 reserved;
    char name[FwCfg::kMaxFileName + 1];
};
static_assert(sizeof(DirectoryEntry) == 64);

constexpr uint32_t kEnd = std::numeric_limits<uint32_t>::max();

}  // namespace

FwCfg::FwCfg(const Wiring& wiring) : memory_(wiring.memory) {
    constexpr char kSignature[4] = {'Q', 'E', 'M', 'U'};
    const uint8_t features[4] = {kTraditionalInterface | kDmaInterface, 0, 0, 0};  // little-endian
    items_.push_back({kSignatureKey, bytes_of(kSignature), nullptr});
    items_.push_back({kFeaturesKey, bytes_of(features), nullptr});
    items_.push_back({kDirectoryKey, bytes_of(be32(0)), nullptr});
}

std::span<const PortRange> FwCfg::port_ranges() const {
    return kFwCfgPorts;
}

const FwCfg::Item* FwCfg::find(uint16_t key) const {
    const auto at = std::lower_bound(items_.begin(), items_.end(), key,
                                     [](const Item& item, uint16_t k) { return item.key < k; });
    return at != items_.end() && at->key == key ? &*at : nullptr;
}

Result<void> FwCfg::insert(uint16_t key, std::vector<std::byte> bytes, FwCfgSource* source) {
    if (bytes.size() > kEnd)
        return fail(ErrorCode::invalid_argument, "add to fw_cfg: an item must be under 4 GiB");
    const auto at = std::upper_bound(items_.begin(), items_.end(), key,
                                     [](uint16_t k, const Item& item) { return k < item.key; });
    items_.insert(at, Item{key, std::move(bytes), source});
    return {};
}

Result<void> FwCfg::add_item(uint16_t key, std::vector<std::byte> bytes) {
    if ((key & ~kArchitectureItem) >= kFirstFileKey) {
        return fail(ErrorCode::invalid_argument, "add to fw_cfg: keys from 0x20 on are for files");
    }
    if (find(key) != nullptr)
        return fail(ErrorCode::invalid_argument, "add to fw_cfg: the key is taken");
    return insert(key, std::move(bytes), nullptr);
}

Result<void> FwCfg::add_file(std::string_view name, std::vector<std::byte> bytes,
                             FwCfgSource* source) {
    if (name.empty() || name.size() > kMaxFileName || name.find('\0') != name.npos) {
        return fail(ErrorCode::invalid_argument,
                    "add to fw_cfg: a file's name must have 1 to 55 characters");
    }
    if (next_file_key_ == kFirstFileKey + kMaxFiles) {
        return fail(ErrorCode::invalid_argument, "add to fw_cfg: too many files");
    }
    const auto directory = std::span(find(kDirectoryKey)->bytes).subspan(sizeof(Be32));
    for (size_t at = 0; at < directory.size(); at += sizeof(DirectoryEntry)) {
        DirectoryEntry entry;
        std::memcpy(&entry, directory.data() + at, sizeof(entry));
        if (name == entry.name)
            return fail(ErrorCode::invalid_argument, "add to fw_cfg: the file is already there");
    }
    const size_t size = bytes.size();
    TRY(insert(next_file_key_, std::move(bytes), source));
    list_file(name, next_file_key_++, size);
    return {};
}

// Appends to the directory: the number of files, then an entry for each.
void FwCfg::list_file(std::string_view name, uint16_t key, size_t size) {
    DirectoryEntry entry{};
    entry.size = be32(static_cast<uint32_t>(size));
    entry.key = be16(key);
    std::memcpy(entry.name, name.data(), name.size());
    const auto at = std::find_if(items_.begin(), items_.end(),
                                 [](const Item& i) { return i.key == kDirectoryKey; });
    const auto bytes = std::as_bytes(std::span(&entry, 1));
    at->bytes.insert(at->bytes.end(), bytes.begin(), bytes.end());
    const Be32 count = be32(key - kFirstFileKey + 1U);
    std::memcpy(at->bytes.data(), &count, sizeof(count));
}

IoStatus FwCfg::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (port == kDataPort && size == 1) {
        value = read_byte();
        return IoStatus::ok;
    }
    if (port < kDmaPort || port + size > kDmaPort + kDmaSignature.size())
        return IoStatus::no_register;
    value = 0;
    for (unsigned i = 0; i < size; ++i) {
        value |= uint32_t{kDmaSignature[static_cast<size_t>(port - kDmaPort) + i]} << (8 * i);
    }
    return IoStatus::ok;
}

// Data written to items is not taken. The DMA address is big-endian: its high half first, the low
// half starts.
IoStatus FwCfg::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (port == kSelectorPort && size == 2) {
        select(static_cast<uint16_t>(value));
        return IoStatus::ok;
    }
    if (port == kDmaPort && size == 4) {
        state_.dma_address_high = __builtin_bswap32(value);
        return IoStatus::ok;
    }
    if (port == kDmaPort + 4 && size == 4) {
        const uint64_t address = uint64_t{state_.dma_address_high} << 32 | __builtin_bswap32(value);
        state_.dma_address_high = 0;
        run_dma({address});
        return IoStatus::ok;
    }
    return port == kDataPort ? IoStatus::ok : IoStatus::no_register;
}

void FwCfg::select(uint16_t key) {
    state_.key = key & static_cast<uint16_t>(~kWriteAccess);
    state_.offset = 0;
    const auto at = std::find_if(items_.begin(), items_.end(),
                                 [&](const Item& item) { return item.key == state_.key; });
    if (at != items_.end() && at->source != nullptr) at->source->refresh(at->bytes);
}

// What is left of the selected item; nothing behind its end and of unknown items: they read as
// zeroes.
std::span<const std::byte> FwCfg::unread() const {
    const Item* item = find(state_.key);
    if (item == nullptr || state_.offset >= item->bytes.size()) return {};
    return std::span(item->bytes).subspan(state_.offset);
}

void FwCfg::skip(uint32_t count) {
    state_.offset += std::min(count, kEnd - state_.offset);
}

uint8_t FwCfg::read_byte() {
    const auto rest = unread();
    skip(1);
    return rest.empty() ? uint8_t{0} : static_cast<uint8_t>(rest[0]);
}

bool FwCfg::read_to_memory(Gpa to, uint32_t length) {
    const auto target = memory_.writable_range(to, length);
    if (target.size() != length) return false;
    const auto source = unread().first(std::min<size_t>(unread().size(), length));
    std::copy(source.begin(), source.end(), target.begin());
    std::fill(target.begin() + static_cast<std::ptrdiff_t>(source.size()), target.end(),
              std::byte{0});
    memory_.written(to, length);
    skip(length);
    return true;
}

// The descriptor is read once; its control field is written back when the work is done: 0, or the
// error bit. Of several commands read comes before write before skip.
void FwCfg::run_dma(Gpa descriptor) {
    DmaDescriptor request;
    if (!memory_.read_object(descriptor, request)) return;
    const uint32_t control = load(request.control);
    const uint32_t length = load(request.length);
    if ((control & kDmaSelect) != 0) select(static_cast<uint16_t>(control >> 16));
    bool done = true;
    if (length != 0 && (control & kDmaRead) != 0) {
        done = read_to_memory({load(request.address)}, length);
    } else if ((control & kDmaWrite) != 0) {
        done = false;
    } else if ((control & kDmaSkip) != 0) {
        skip(length);
    }
    (void)memory_.write_object(descriptor, be32(done ? 0 : kDmaError));
}

void FwCfg::save(StateWriter& writer) const {
    FwCfgStateV1 saved;
    saved.key = state_.key;
    saved.offset = state_.offset;
    saved.dma_address_high = state_.dma_address_high;
    writer.section(saved);
}

Result<void> FwCfg::restore(StateReader& reader) {
    reset();
    TRY_ASSIGN(saved, reader.section<FwCfgStateV1>());
    if ((saved.key & kWriteAccess) != 0)
        return fail(ErrorCode::invalid_data, "load saved state: the key of 'fw_cfg' is impossible");
    state_ = {.key = saved.key, .offset = saved.offset, .dma_address_high = saved.dma_address_high};
    return {};
}

}  // namespace banyan
