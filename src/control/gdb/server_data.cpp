// Registers and memory: GDB manual, appendix E.2 "Packets".
#include <algorithm>

#include "control/gdb/registers.hpp"
#include "control/gdb/server.hpp"

namespace banyan::gdb {

namespace {

// What fits into a packet as hexadecimal text.
constexpr uint64_t kMostBytes = kPacketSize / 2;

struct MemoryRange {
    uint64_t address = 0;
    uint64_t length = 0;
};

// `ADDRESS,LENGTH`.
std::optional<MemoryRange> read_range(Words& words) {
    const auto address = words.number();
    if (!address || !words.skip(",")) return std::nullopt;
    const auto length = words.number();
    if (!length || *length > kMostBytes) return std::nullopt;
    return MemoryRange{*address, *length};
}

std::string register_hex(const x86::RegisterState& state, const Register& reg) {
    std::vector<std::byte> bytes(reg.size);
    read_register(state, reg, bytes);
    return to_hex(bytes);
}

const Register* find_register(std::optional<uint64_t> number) {
    return number && *number < registers().size() ? &registers()[*number] : nullptr;
}

}  // namespace

GdbServer::Reply GdbServer::read_all_registers() const {
    x86::RegisterState state;
    vm_.get_registers(vcpu_, state);
    write_out_initial_state(state);
    std::string text;
    for (const Register& reg : registers())
        text += register_hex(state, reg);
    return text;
}

GdbServer::Reply GdbServer::write_all_registers(std::string_view hex) {
    const auto bytes = from_hex(hex);
    if (!bytes || bytes->size() != registers_size()) return reply(kBadPacket);
    x86::RegisterState state;
    vm_.get_registers(vcpu_, state);
    size_t at = 0;
    for (const Register& reg : registers()) {
        if (!write_register(state, reg, std::span(*bytes).subspan(at, reg.size)))
            return reply(kRefused);
        at += reg.size;
    }
    return reply(vm_.set_registers(vcpu_, state) ? kOk : kRefused);
}

GdbServer::Reply GdbServer::read_one_register(Words words) const {
    const Register* reg = find_register(words.number());
    if (reg == nullptr) return reply(kBadPacket);
    x86::RegisterState state;
    vm_.get_registers(vcpu_, state);
    write_out_initial_state(state);
    return register_hex(state, *reg);
}

// `NUMBER=HEX`.
GdbServer::Reply GdbServer::write_one_register(Words words) {
    const Register* reg = find_register(words.number());
    if (reg == nullptr || !words.skip("=")) return reply(kBadPacket);
    const auto bytes = from_hex(words.rest());
    if (!bytes || bytes->size() != reg->size) return reply(kBadPacket);
    x86::RegisterState state;
    vm_.get_registers(vcpu_, state);
    if (!write_register(state, *reg, *bytes)) return reply(kRefused);
    return reply(vm_.set_registers(vcpu_, state) ? kOk : kRefused);
}

// Less than was asked for, where memory ends.
GdbServer::Reply GdbServer::read_memory(Words words) const {
    const auto range = read_range(words);
    if (!range) return reply(kBadPacket);
    std::vector<std::byte> bytes(range->length);
    bytes.resize(vm_.read_memory(vcpu_, range->address, bytes));
    if (bytes.empty() && range->length != 0) return reply(kBadAddress);
    return to_hex(bytes);
}

GdbServer::Reply GdbServer::write_memory_hex(Words words) {
    const auto range = read_range(words);
    if (!range || !words.skip(":")) return reply(kBadPacket);
    const auto bytes = from_hex(words.rest());
    if (!bytes || bytes->size() != range->length) return reply(kBadPacket);
    return write_memory(range->address, *bytes);
}

GdbServer::Reply GdbServer::write_memory_binary(Words words) {
    const auto range = read_range(words);
    if (!range || !words.skip(":")) return reply(kBadPacket);
    const std::string bytes = unescape(words.rest());
    if (bytes.size() != range->length) return reply(kBadPacket);
    return write_memory(range->address, std::as_bytes(std::span(bytes)));
}

GdbServer::Reply GdbServer::write_memory(uint64_t address, std::span<const std::byte> bytes) {
    return reply(vm_.write_memory(vcpu_, address, bytes) == bytes.size() ? kOk : kBadAddress);
}

}  // namespace banyan::gdb
