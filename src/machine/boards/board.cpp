#include "machine/boards/board.hpp"

#include <algorithm>

#include "devices/virtio/virtio_balloon.hpp"
#include "machine/boards/board_parts.hpp"
#include "machine/boards/board_state.hpp"
#include "machine/boards/direct_boot.hpp"
#include "machine/boards/generation_id.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

Result<std::unique_ptr<Board>> Board::create(const BoardConfig& config,
                                             const BoardServices& services) {
    if (config.cpu_count == 0 || config.cpu_count > kMaxCpus) {
        return fail(ErrorCode::invalid_argument,
                    "vCPUs: a machine has between 1 and 255; give --cpus a number in that range");
    }
    TRY_ASSIGN(map, MemoryMap::create(config.ram_size, memory_layout(config.kind)));
    auto parts = std::make_unique<Parts>(config, services, std::move(map));
    TRY(parts->build());
    return std::unique_ptr<Board>(new Board(std::move(parts)));
}

Board::Board(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Board::~Board() = default;

const MemoryMap& Board::memory_map() const {
    return parts_->map;
}

CpuIo& Board::cpu_io(unsigned index) {
    BANYAN_ASSERT(index < parts_->sockets.size());
    return *parts_->sockets[index];
}

CpuInterrupts& Board::cpu_interrupts(unsigned index) {
    BANYAN_ASSERT(index < parts_->sockets.size());
    BANYAN_ASSERT(parts_->sockets[index]->interrupts() != nullptr);
    return *parts_->sockets[index]->interrupts();
}

VcpuWiring Board::vcpu_wiring(unsigned index, VcpuWaker& waker) {
    BANYAN_ASSERT(index < parts_->sockets.size());
    VcpuSocket& socket = *parts_->sockets[index];
    return {index, &socket, socket.interrupts(), &waker, socket.ext_int()};
}

void Board::attach_vcpu(unsigned index, VcpuSignals& signals) {
    BANYAN_ASSERT(index < parts_->sockets.size());
    parts_->sockets[index]->signals().attach(signals);
}

CharClient& Board::serial_client() {
    return *parts_->serial_client;
}

CharClient* Board::console_client() {
    return parts_->console_client;
}

VsockClient* Board::vsock_client() {
    return parts_->vsock_client.get();
}

std::span<const NetStatistics* const> Board::net_statistics() const {
    return parts_->net_statistics;
}

void Board::hold_networks(bool held) {
    for (const auto& net : parts_->nets)
        net->hold(held);
    parts_->networks_held = held;
    for (const auto& place : parts_->places) {
        if (place->net != nullptr) place->net->hold(held);
    }
    if (parts_->vsock_client != nullptr) parts_->vsock_client->hold(held);
}

DisplaySource* Board::display() {
    return parts_->display.get();
}

InputSink* Board::input() {
    return parts_->human_input.get();
}

Result<Gpa> Board::prepare_direct_boot() {
    return banyan::prepare_direct_boot(*parts_);
}

void Board::press_power_button() {
    SlotLock lock(*parts_->acpi_pm_slot);
    parts_->acpi_pm->press_power_button();
}

bool Board::set_balloon_target(uint64_t bytes) {
    if (parts_->balloon == nullptr) return false;
    SlotLock lock(*parts_->balloon_slot);
    parts_->balloon->set_target(bytes);
    return true;
}

std::optional<BalloonStatistics> Board::balloon_statistics() {
    if (parts_->balloon == nullptr) return std::nullopt;
    SlotLock lock(*parts_->balloon_slot);
    return parts_->balloon->statistics();
}

void Board::set_generation_id(const GenerationId& id) {
    if (!parts_->services.memory.write_object(kGenerationIdAddress, id)) return;
    SlotLock lock(*parts_->acpi_pm_slot);
    parts_->acpi_pm->raise_general_event(acpi::kGenerationEvent);
}

Result<unsigned> Board::plug_disk(const DiskConfig& disk) {
    return parts_->plug_disk(disk);
}

Result<unsigned> Board::plug_net(const NetConfig& net) {
    return parts_->plug_net(net);
}

void Board::request_unplug(unsigned device) {
    parts_->request_unplug(device);
}

bool Board::remove_ejected(unsigned device) {
    return parts_->remove_ejected(device);
}

unsigned Board::hotplug_places() const {
    return static_cast<unsigned>(parts_->places.size());
}

Result<void> Board::resize_disk(const BlockBackend& disk,
                                const std::function<Result<void>()>& resize) {
    return parts_->resize_disk(disk, resize);
}

void Board::reset() {
    parts_->eject_requested();
    reset_chips();
}

void Board::reset_chips() {
    const auto reset_one = [](std::string_view, Device& device) -> Result<void> {
        device.reset();
        return {};
    };
    BANYAN_ASSERT(parts_->for_each_chip(reset_one).has_value());
}

namespace {

std::vector<uint8_t> to_bytes(std::span<const std::byte> bytes) {
    std::vector<uint8_t> copy(bytes.size());
    std::transform(bytes.begin(), bytes.end(), copy.begin(),
                   [](std::byte b) { return std::to_integer<uint8_t>(b); });
    return copy;
}

std::vector<uint8_t> to_bytes(std::string_view text) {
    return {text.begin(), text.end()};
}

tl::unexpected<Error> other_board() {
    return fail(ErrorCode::invalid_data,
                "load saved state: it is of a machine with other devices; use the configuration it "
                "was saved with");
}

}  // namespace

void Board::save(StateWriter& writer) const {
    BoardStateV1 state;
    const auto save_one = [&](std::string_view key, const Device& device) -> Result<void> {
        StateWriter chip;
        device.save(chip);
        state.chips.push_back({to_bytes(key), to_bytes(chip.bytes())});
        return {};
    };
    BANYAN_ASSERT(parts_->for_each_chip(save_one).has_value());
    writer.section(state);
}

// Reset first: what is mapped or asserted now must not be in the way of what is restored.
Result<void> Board::restore(StateReader& reader) {
    reset_chips();
    auto restored = restore_chips(reader);
    if (!restored) reset_chips();
    return restored;
}

Result<void> Board::restore_chips(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<BoardStateV1>());
    size_t used = 0;
    const auto restore_one = [&](std::string_view key, Device& device) -> Result<void> {
        const auto found =
            std::find_if(state.chips.begin(), state.chips.end(),
                         [&](const ChipState& chip) { return chip.key == to_bytes(key); });
        if (found == state.chips.end()) return other_board();
        ++used;
        StateReader sections(std::as_bytes(std::span(found->sections)));
        return device.restore(sections);
    };
    TRY(parts_->for_each_chip(restore_one));
    if (used != state.chips.size()) return other_board();
    return {};
}

}  // namespace banyan
