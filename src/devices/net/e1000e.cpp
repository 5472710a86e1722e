#include "devices/net/e1000e.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/net/e1000e_state.hpp"
#include "devices/pci/msi.hpp"
#include "snapshot/state.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace e1000e;

namespace {

constexpr PciIdentity kE1000eIdentity{.vendor = 0x8086,
                                      .device = 0x10D3,
                                      .subsystem_vendor = 0x8086,
                                      .subsystem = 0xA01F,
                                      .class_code = 0x020000,
                                      .interrupt_pin = 1};
enum BarIndex : unsigned { kRegisterBar = 0, kPortBar = 2, kMessageBar = 3 };
constexpr uint16_t kPortData = 4;  // IODATA; IOADDR is at 0
// Room for the largest frame, what is put into it, and its check sequence.
constexpr size_t kFrameRoom = kLargestNetFrame + 16;
constexpr size_t kLargestHeader = 255;

// IVAR: four bits a cause, in this order (section 10.2.4.9).
constexpr std::array<uint32_t, kMessages> kCauseOfMessage{
    RECEIVE_QUEUE_0, RECEIVE_QUEUE_1, TRANSMIT_QUEUE_0, TRANSMIT_QUEUE_1, OTHER};
constexpr uint32_t kVectorValid = 8;

bool is_statistic(uint32_t offset) {
    return offset >= FIRST_STATISTIC && offset <= LAST_STATISTIC;
}

}  // namespace

E1000e::E1000e(const Address& address, const Wiring& wiring)
    : PciFunction(kE1000eIdentity, {wiring.mapper, wiring.intx}),
      address_(address),
      memory_(wiring.memory),
      network_(wiring.network),
      msi_(wiring.msi),
      incoming_(kFrameRoom),
      outgoing_(kFrameRoom),
      segment_(kFrameRoom + kLargestHeader),
      msix_(kMessages, wiring.msi),
      registers_(kLastRegister / 4) {
    declare_memory_bar(kRegisterBar, PciBarKind::memory32, kRegistersSize, *this);
    declare_io_bar(kPortBar, kPortsSize, *this);
    msi_capability_ = add_capability(pci::kCapabilityMsi, pci::kMsiBody, pci::kMsiWritable);
    add_msix(msix_, kMessageBar);
    reset_config();
    nvm_ = make_nvm(address_);
    reset_registers();
}

E1000e::~E1000e() {
    if (started_) network_.stop();
}

void E1000e::reset() {
    if (started_) network_.stop();
    started_ = broken_ = false;
    msix_.reset();
    phy_.reset();
    nvm_ = make_nvm(address_);
    reset_registers();
    port_address_ = 0;
    reset_config();
}

// What CTRL.RST does: everything but configuration space, the PHY and the EEPROM.
void E1000e::reset_registers() {
    std::ranges::fill(registers_, 0);
    reg(CTRL) = Ctrl::kAtReset;
    const Address address = address_in(nvm_);
    std::memcpy(&reg(RAL), address.data(), 4);
    uint16_t high = 0;
    std::memcpy(&high, address.data() + 4, 2);
    reg(RAH) = kAddressValid | high;
    causes_ = mask_ = 0;
    context_ = {};
    segments_sent_ = 0;
    update_interrupts();
}

// Section 10.2.1: registers are 32 bits wide.
IoStatus E1000e::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (size != 4) return IoStatus::bad_size;
    value = offset < kLastRegister ? read_register(static_cast<uint32_t>(offset)) : 0;
    return IoStatus::ok;
}

IoStatus E1000e::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size != 4) return IoStatus::bad_size;
    if (offset < kLastRegister)
        write_register(static_cast<uint32_t>(offset), static_cast<uint32_t>(value));
    return IoStatus::ok;
}

// Section 10.2.1.2 "I/O-mapped access": an address and what is there.
IoStatus E1000e::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 4) return IoStatus::bad_size;
    value = port == 0                                            ? port_address_
            : port == kPortData && port_address_ < kLastRegister ? read_register(port_address_)
                                                                 : 0;
    return IoStatus::ok;
}

IoStatus E1000e::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 4) return IoStatus::bad_size;
    if (port == 0) port_address_ = value & (kRegistersSize - 4);
    if (port == kPortData && port_address_ < kLastRegister) write_register(port_address_, value);
    return IoStatus::ok;
}

uint32_t E1000e::read_register(uint32_t offset) {
    switch (offset) {
        case STATUS: return status();
        case EECD: return reg(EECD) | kEecdPresentAndRead;
        case ICR: return read_causes();
        case ICS:
        case IMC: return 0;
        case IMS: return mask_;
        case EEMNGCTL: return reg(EEMNGCTL) | kNvmConfigured;
        case SWSM: {
            const uint32_t before = reg(SWSM);
            reg(SWSM) |= kSemaphore;
            return before;
        }
        default: break;
    }
    const uint32_t value = reg(offset);
    if (is_statistic(offset)) reg(offset) = 0;
    return value;
}

void E1000e::write_register(uint32_t offset, uint32_t value) {
    switch (offset) {
        case STATUS: return;
        case CTRL: return write_control(value);
        case CTRL_EXT: reg(CTRL_EXT) = value & ~kExtEepromReset; return;
        case EERD: return read_nvm(value);
        case EEWR: return write_nvm(value);
        case MDIC: return write_mdi({value});
        case ICR: causes_ &= ~value; return update_interrupts();
        case ICS: return raise(value & kAllCauses);
        case IMS: return set_mask(mask_ | (value & kAllCauses));
        case IMC: return set_mask(mask_ & ~value);
        case RDBAL:
        case RDLEN:
        case RDH:
        case RDT:
        case TDBAL:
        case TDLEN:
        case TDH:
        case TDT: return write_ring_register(offset, value);
        case RCTL:
        case TCTL:
            reg(offset) = value;
            start_network();
            if (offset == TCTL) transmit();
            return;
        default:
            if (!is_statistic(offset)) reg(offset) = value;
    }
}

// Sections 10.2.5.4 and on: bases are aligned to 16 bytes, lengths to 128.
void E1000e::write_ring_register(uint32_t offset, uint32_t value) {
    switch (offset) {
        case RDBAL:
        case TDBAL: reg(offset) = value & ~uint32_t{15}; return;
        case RDLEN:
        case TDLEN: reg(offset) = value & mask<uint32_t>(19, 7); return;
        case TDH: segments_sent_ = 0; [[fallthrough]];
        case RDH: reg(offset) = value & 0xFFFF; return;
        case RDT:
            reg(RDT) = value & 0xFFFF;
            if (started_) network_.receive_room_available();
            return;
        default: reg(TDT) = value & 0xFFFF; transmit();
    }
}

// Heads and tails that lie outside are taken for the ring's first descriptor.
E1000e::Ring E1000e::ring(uint32_t base_register, uint64_t descriptor_size) const {
    Ring ring;
    ring.base = Gpa{reg(base_register) | uint64_t{reg(base_register + 4)} << 32};
    ring.size = static_cast<uint32_t>(reg(base_register + 8) / descriptor_size);
    ring.head = reg(base_register + 0x10);
    ring.tail = reg(base_register + 0x18);
    if (ring.head >= ring.size) ring.head = 0;
    if (ring.tail >= ring.size) ring.tail = 0;
    return ring;
}

bool E1000e::link_up() const {
    return !broken_ && network_.link_up();
}

uint32_t E1000e::status() const {
    uint32_t value = kStatusFullDuplex | kStatusGigabit;
    if (link_up()) value |= kStatusLinkUp;
    if ((reg(CTRL) & Ctrl::kMasterDisable) == 0) value |= kStatusMaster;
    return value;
}

void E1000e::write_control(uint32_t value) {
    if ((value & Ctrl::kPhyReset) != 0) phy_.reset();
    if ((value & Ctrl::kReset) != 0) return reset_registers();
    reg(CTRL) = value & ~Ctrl::kPhyReset;
}

// The transceiver is at address 1.
void E1000e::write_mdi(MdiControl value) {
    const bool there = value.get<MdiControl::Phy>() == 1;
    const unsigned index = value.get<MdiControl::Register>();
    if (there && value.get<MdiControl::Operation>() == kMdiWrite)
        phy_.write(index, value.get<MdiControl::Data>());
    if (there && value.get<MdiControl::Operation>() == kMdiRead)
        value.set<MdiControl::Data>(phy_.read(index, link_up()));
    value.set<MdiControl::Error>(!there);
    value.set<MdiControl::Ready>(true);
    reg(MDIC) = value.raw;
    if (value.get<MdiControl::Interrupt>()) raise(MDI_DONE);
}

void E1000e::read_nvm(uint32_t value) {
    if ((value & kNvmStart) == 0) {
        reg(EERD) = value;
        return;
    }
    const uint32_t index = bits(value, 15, 2);
    const uint32_t word = index < kNvmWords ? nvm_[index] : 0xFFFFU;
    reg(EERD) = word << 16 | index << 2 | kNvmDone;
}

void E1000e::write_nvm(uint32_t value) {
    const uint32_t index = bits(value, 15, 2);
    if ((value & kNvmStart) != 0 && index < kNvmWords)
        nvm_[index] = static_cast<uint16_t>(value >> 16);
    reg(EEWR) = (value & ~kNvmStart) | kNvmDone;
}

// Section 10.2.7: they stick at their largest value.
void E1000e::count(uint32_t statistic, uint32_t by) {
    uint32_t& value = reg(statistic);
    value = by > ~value ? ~uint32_t{0} : value + by;
}

void E1000e::count_octets(uint32_t statistic, uint64_t by) {
    uint64_t value = reg(statistic) | uint64_t{reg(statistic + 4)} << 32;
    value = by > ~value ? ~uint64_t{0} : value + by;
    reg(statistic) = static_cast<uint32_t>(value);
    reg(statistic + 4) = static_cast<uint32_t>(value >> 32);
}

// The network is not asked for anything before the guest has a driver for the card.
void E1000e::start_network() {
    const bool wanted = ReceiveControl{reg(RCTL)}.get<ReceiveControl::Enable>() ||
                        (reg(TCTL) & kTransmitEnable) != 0;
    if (started_ || broken_ || !wanted) return;
    network_.set_client_offloads({});
    network_.set_client_mtu(kEthernetMtu);
    if (const auto result = network_.start(*this); !result) {
        LOG_LIMITED(LogLevel::warning, "e1000e", "the network card has no link: %s",
                    std::string(result.error().text()).c_str());
        broken_ = true;
        return raise(LINK_CHANGED);
    }
    started_ = true;
}

void E1000e::on_link_changed(bool /*up*/) {
    raise(LINK_CHANGED);
}

// --- interrupts (section 7.4) ------------------------------------------------

void E1000e::raise(uint32_t causes) {
    if ((causes & kOtherCauses) != 0) causes |= OTHER;
    causes_ |= causes;
    update_interrupts();
}

void E1000e::set_mask(uint32_t mask) {
    mask_ = mask;
    update_interrupts();
}

// Section 7.4.2 "Interrupt acknowledgement": reading clears while the interrupt is asserted, or
// none can be.
uint32_t E1000e::read_causes() {
    const bool asserted = (causes_ & mask_) != 0;
    const uint32_t value = causes_ | (asserted ? uint32_t{ASSERTED} : 0);
    if (asserted && (reg(CTRL_EXT) & kExtAutoMask) != 0) mask_ &= ~reg(IAM);
    if (asserted || mask_ == 0) causes_ = 0;
    update_interrupts();
    return value;
}

void E1000e::update_interrupts() {
    if (msix_.enabled()) {
        set_intx(false);
        return send_messages(causes_ & mask_);
    }
    const bool pending = (causes_ & mask_) != 0;
    const auto message = pci::msi_message(config().subspan(msi_capability_));
    if (message && pending && !asserted_) msi_.send_msi(*message);
    asserted_ = pending;
    set_intx(pending && !message);
}

// One message for each cause that has come since its last. Those in EIAC are over when they are
// told (section 7.4.3 "Auto-clear").
void E1000e::send_messages(uint32_t pending) {
    messages_sent_ &= pending;
    for (unsigned i = 0; i < kMessages; ++i) {
        if ((pending & ~messages_sent_ & kCauseOfMessage[i]) != 0) send_message(i);
    }
}

void E1000e::send_message(unsigned message) {
    const uint32_t cause = kCauseOfMessage[message];
    const uint32_t entry = reg(IVAR) >> (4 * message) & 15;
    if ((entry & kVectorValid) == 0) return;
    messages_sent_ |= cause;
    if ((reg(EIAC) & cause) != 0) {
        causes_ &= ~cause;
        messages_sent_ &= ~cause;
    }
    if ((reg(CTRL_EXT) & kExtMessageAutoMask) != 0) mask_ &= ~(reg(IAM) & cause);
    msix_.signal(entry & ~kVectorValid);
}

// --- saved states ------------------------------------------------------------

void E1000e::save(StateWriter& writer) const {
    save_config(writer);
    writer.section(E1000eStateV1{.registers = registers_,
                                 .causes = causes_,
                                 .mask = mask_,
                                 .phy = phy_.registers(),
                                 .nvm = nvm_,
                                 .context = std::bit_cast<std::array<uint32_t, 4>>(context_),
                                 .segments_sent = segments_sent_,
                                 .port_address = port_address_});
    msix_.save(writer);
}

Result<void> E1000e::restore(StateReader& reader) {
    reset();
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> E1000e::apply(StateReader& reader) {
    TRY(restore_config(reader));
    TRY_ASSIGN(saved, reader.section<E1000eStateV1>());
    const bool possible = saved.registers.size() == registers_.size() &&
                          ((saved.causes | saved.mask) & ~kAllCauses) == 0 &&
                          saved.segments_sent <= kLargestNetFrame &&
                          (saved.port_address & ~(kRegistersSize - 4)) == 0;
    if (!possible)
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'e1000e' is impossible");
    TRY(msix_.restore(reader));
    registers_ = std::move(saved.registers);
    // As writes would have left them.
    reg(RDLEN) &= mask<uint32_t>(19, 7);
    reg(TDLEN) &= mask<uint32_t>(19, 7);
    causes_ = saved.causes;
    mask_ = saved.mask;
    phy_.restore(saved.phy);
    nvm_ = saved.nvm;
    context_ = std::bit_cast<TransmitDescriptor>(saved.context);
    segments_sent_ = saved.segments_sent;
    port_address_ = saved.port_address;
    // What was pending has been told before.
    messages_sent_ = causes_ & mask_;
    asserted_ = messages_sent_ != 0;
    update_interrupts();
    start_network();
    return {};
}

}  // namespace banyan
