// Registers, the link and the receive area of a port. Commands are in ahci_port_commands.cpp.
#include "devices/storage/ahci_port.hpp"

#include "support/assert.hpp"

namespace banyan {

using namespace ahci;

AhciPort::AhciPort(GuestMemory& memory, AhciPortHost& host) : memory_(memory), host_(host) {
    power_on();
}

void AhciPort::attach(std::unique_ptr<AtaDevice> device) {
    device_ = std::move(device);
    slots_.reserve(kSlots);
    while (slots_.size() < kSlots)
        slots_.emplace_back(memory_);
    power_on();
}

void AhciPort::power_on() {
    reset();
    state_.command_list = state_.received_fis = 0;
    if (device_) device_->reset();
}

// 10.4.3: all but PxCLB and PxFB; the device is found anew.
void AhciPort::reset() {
    drain();
    const uint64_t command_list = state_.command_list;
    const uint64_t received_fis = state_.received_fis;
    state_ = {};
    state_.command_list = command_list;
    state_.received_fis = received_fis;
    state_.command = kCmdSpinUp | kCmdPowerOn;
    state_.task_file = kNoTaskFile;
    state_.signature = kNoSignature;
    if (!device_) return;
    device_->soft_reset();
    end_link_reset();
}

uint32_t AhciPort::read(Port reg) const {
    switch (reg) {
        case Port::CLB: return static_cast<uint32_t>(state_.command_list);
        case Port::CLBU: return static_cast<uint32_t>(state_.command_list >> 32);
        case Port::FB: return static_cast<uint32_t>(state_.received_fis);
        case Port::FBU: return static_cast<uint32_t>(state_.received_fis >> 32);
        case Port::IS: return state_.interrupt_status;
        case Port::IE: return state_.interrupt_enable;
        case Port::CMD: return state_.command;
        case Port::TFD: return state_.task_file;
        case Port::SIG: return state_.signature;
        case Port::SSTS: return state_.link_status;
        case Port::SCTL: return state_.link_control;
        case Port::SERR: return state_.link_error;
        case Port::SACT: return state_.active;
        case Port::CI: return state_.issue;
    }
    return 0;
}

void AhciPort::write(Port reg, uint32_t value) {
    const auto set_low = [&](uint64_t& address, uint32_t alignment) {
        address = (address & ~mask(31, 0)) | (value & ~(alignment - 1));
    };
    const auto set_high = [&](uint64_t& address) {
        address = (address & mask(31, 0)) | uint64_t{value} << 32;
    };
    const bool started = (state_.command & kCmdStart) != 0;
    switch (reg) {
        case Port::CLB: return set_low(state_.command_list, 1024);
        case Port::CLBU: return set_high(state_.command_list);
        case Port::FB: return set_low(state_.received_fis, 256);
        case Port::FBU: return set_high(state_.received_fis);
        case Port::IS:
            // 3.3.5: the connect change is a view of PxSERR.
            state_.interrupt_status &= ~(value & ~kIsConnectChange);
            return host_.port_cleared();
        case Port::IE: state_.interrupt_enable = value & kIeWritable; return host_.port_event();
        case Port::CMD: return write_command(value);
        case Port::SCTL: return write_link_control(value);
        case Port::SERR:
            state_.link_error &= ~value;
            if ((state_.link_error & kSerrExchanged) == 0)
                state_.interrupt_status &= ~kIsConnectChange;
            return host_.port_cleared();
        // 3.3.13 and 3.3.14: bits are only ever added, and only while the list runs.
        case Port::SACT:
            if (started) state_.active |= value;
            return;
        case Port::CI:
            if (!started) return;
            state_.issue |= value;
            return run();
        case Port::TFD:
        case Port::SIG:
        case Port::SSTS: return;
    }
}

// 3.3.7.
void AhciPort::write_command(uint32_t value) {
    state_.command = (state_.command & ~kCmdKept) | (value & kCmdKept);
    const bool started = (state_.command & kCmdStart) != 0;
    const bool start = (value & kCmdStart) != 0;
    if (started && !start) stop_list();
    if (!started && (value & kCmdListOverride) != 0) {
        state_.task_file &= ~uint32_t{ata::kStatusBusy | ata::kStatusDataRequest};
    }
    // 10.3.2: reception goes on as long as the list runs.
    const bool receive = (value & kCmdFisReceive) != 0 || (state_.command & kCmdStart) != 0;
    if (receive) {
        state_.command |= kCmdFisReceive | kCmdFisRunning;
        deliver_signature();
    } else {
        state_.command &= ~(kCmdFisReceive | kCmdFisRunning);
    }
    if (!started && start && receive) start_list();
}

void AhciPort::start_list() {
    state_.command &= ~kCmdCurrentSlot;
    state_.command |= kCmdStart | kCmdListRunning;
    state_.halted = false;
    run();
}

// 3.3.14: with PxCMD.ST go PxCI and PxSACT. What is in flight is waited for, because the driver may
// use its memory for something else as soon as PxCMD.CR is clear.
void AhciPort::stop_list() {
    drain();
    state_.command &= ~(kCmdStart | kCmdListRunning | kCmdCurrentSlot);
    state_.issue = state_.active = 0;
    state_.halted = false;
}

// 3.3.11; 10.4.2 "Port Reset".
void AhciPort::write_link_control(uint32_t value) {
    const uint32_t before = state_.link_control & kDetectMask;
    state_.link_control = value & kSctlWritable;
    const uint32_t now = state_.link_control & kDetectMask;
    if (now == before) return;
    if (now == kDetectReset) {
        begin_link_reset();
    } else if (now == kDetectOffline) {
        begin_link_reset();
        state_.link_status = kLinkOffline;
    } else if (now == 0 && device_) {
        end_link_reset();
    }
}

void AhciPort::begin_link_reset() {
    drain();
    state_.link_status = 0;
    state_.task_file = kNoTaskFile;
    state_.signature_waits = false;
    state_.soft_reset_asserted = false;
    if (device_) device_->soft_reset();
}

// The device is there again, and sends its signature.
void AhciPort::end_link_reset() {
    state_.link_status = kLinkUp;
    state_.link_error |= kSerrExchanged;
    state_.signature_waits = true;
    raise(kIsConnectChange);
    deliver_signature();
}

// 10.3.2: the device's first FIS waits until it can be received.
void AhciPort::deliver_signature() {
    if (!state_.signature_waits || (state_.command & kCmdFisRunning) == 0) return;
    state_.signature_waits = false;
    const AtaOutput output = device_->signature();
    state_.signature = static_cast<uint32_t>(output.lba << 8 | output.count);
    receive_register_fis(device_->is_packet_device() ? 0 : ata::kStatusIdle, output);
}

// Serial ATA 3.0, 10.3.5.
void AhciPort::receive_register_fis(uint8_t status, const AtaOutput& output) {
    Fis fis{kFisDeviceToHost, kFisInterrupt, status, output.error};
    for (unsigned i = 0; i < 3; ++i) {
        fis[4 + i] = static_cast<uint8_t>(output.lba >> (8 * i));
        fis[8 + i] = static_cast<uint8_t>(output.lba >> (8 * i + 24));
    }
    fis[7] = output.device;
    fis[12] = static_cast<uint8_t>(output.count);
    fis[13] = static_cast<uint8_t>(output.count >> 8);
    set_task_file(status, output.error);
    if (store_fis(kReceivedRegister, fis)) raise(kIsRegisterFis);
}

// Serial ATA 3.0, 10.3.10. One for all the data: drivers look at what it ends with.
void AhciPort::receive_pio_setup(const Slot& slot) {
    const AtaOutput& output = slot.plan.output;
    const bool to_host = slot.plan.data.kind != PlanKind::media_out;
    const auto length = static_cast<uint16_t>(slot.runner.moved());
    Fis fis{kFisPioSetup, static_cast<uint8_t>(kFisInterrupt | (to_host ? kFisToHost : 0)),
            ata::kStatusIdle | ata::kStatusDataRequest, 0};
    for (unsigned i = 0; i < 3; ++i) {
        fis[4 + i] = static_cast<uint8_t>(output.lba >> (8 * i));
        fis[8 + i] = static_cast<uint8_t>(output.lba >> (8 * i + 24));
    }
    fis[7] = output.device;
    fis[12] = static_cast<uint8_t>(output.count);
    fis[13] = static_cast<uint8_t>(output.count >> 8);
    fis[15] = ata::kStatusIdle;  // E_Status: when the data have moved
    fis[16] = static_cast<uint8_t>(length);
    fis[17] = static_cast<uint8_t>(length >> 8);
    set_task_file(ata::kStatusIdle, 0);
    if (store_fis(kReceivedPioSetup, fis)) raise(kIsPioSetup);
}

// Serial ATA 3.0, 10.3.6: it leaves BSY and DRQ of the task file alone.
void AhciPort::receive_set_device_bits(uint8_t status, uint8_t error, uint32_t completed) {
    constexpr uint8_t kLeft = ata::kStatusBusy | ata::kStatusDataRequest;
    constexpr uint8_t kCarried = 0x77;
    std::array<uint8_t, 8> fis{kFisSetDeviceBits, kFisInterrupt,
                               static_cast<uint8_t>(status & kCarried), error};
    for (unsigned i = 0; i < 4; ++i)
        fis[4 + i] = static_cast<uint8_t>(completed >> (8 * i));
    set_task_file(static_cast<uint8_t>((state_.task_file & kLeft) | (status & kCarried)), error);
    state_.active &= ~completed;
    if (store_fis(kReceivedSetDeviceBits, fis)) raise(kIsSetDeviceBits);
}

bool AhciPort::store_fis(uint64_t offset, std::span<const uint8_t> fis) {
    if ((state_.command & kCmdFisRunning) == 0 || !dma_enabled_) return true;
    if (memory_.write(Gpa{state_.received_fis + offset}, std::as_bytes(fis))) return true;
    halt(kIsHostBusFatal);
    return false;
}

void AhciPort::set_task_file(uint8_t status, uint8_t error) {
    state_.task_file = uint32_t{error} << 8 | status;
}

void AhciPort::raise(uint32_t interrupts) {
    state_.interrupt_status |= interrupts;
    host_.port_event();
}

AhciPortStateV1 AhciPort::state() const {
    BANYAN_ASSERT(in_flight_ == 0);
    AhciPortStateV1 state = state_;
    if (device_) state.device = device_->state();
    return state;
}

bool AhciPort::restore(const AhciPortStateV1& state) {
    const bool receives = (state.command & kCmdFisRunning) != 0;
    const bool runs = (state.command & kCmdStart) != 0;
    if (runs && !receives) return false;
    if (runs != ((state.command & kCmdListRunning) != 0)) return false;
    if (receives != ((state.command & kCmdFisReceive) != 0)) return false;
    if (!device_) {
        if (state.signature_waits || state.link_status != 0) return false;
    } else if (!device_->restore(state.device)) {
        return false;
    }
    state_ = state;
    state_.device = {};
    state_.command_list &= ~uint64_t{1023};
    state_.received_fis &= ~uint64_t{255};
    state_.interrupt_enable &= kIeWritable;
    state_.link_control &= kSctlWritable;
    return true;
}

}  // namespace banyan
