// E1000e: Intel's 82574L gigabit network card (datasheet 317694), which systems without virtio
// drivers know: one receive and one transmit queue, legacy, extended and packet split descriptors,
// checksums and segmentation, MSI-X, MSI and INTx.
//
// Interrupts are sent at once: the delays and rates that a driver asks for (RDTR, TIDV, ITR) are
// kept and not waited for. There is no flash, no management firmware, no wake-up, and no receive
// side scaling: all frames come to the first queue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/net/e1000e_nvm.hpp"
#include "devices/net/e1000e_phy.hpp"
#include "devices/net/e1000e_regs.hpp"
#include "devices/net/packet_offload.hpp"
#include "devices/pci/msix.hpp"
#include "devices/pci/pci_function.hpp"
#include "vm/guest_memory.hpp"
#include "vm/net_statistics.hpp"
#include "vm/network.hpp"

namespace banyan {

struct E1000eStateV1;

class E1000e final : public PciFunction, public NetClient, private MmioIo, private PortIo {
public:
    struct Wiring {
        GuestMemory& memory;
        PciBarMapper& mapper;
        IrqLine intx;
        MsiSink& msi;
        NetBackend& network;
    };
    E1000e(const e1000e::Address& address, const Wiring& wiring);
    ~E1000e() override;

    std::string_view name() const override { return "e1000e"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    // Beside the card's own registers, which its driver clears. From any thread.
    const NetStatistics& statistics() const { return statistics_; }

    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override;
    void on_link_changed(bool up) override;

private:
    // A ring of descriptors: RDBAL and on, or TDBAL and on.
    struct Ring {
        Gpa base;
        uint32_t size = 0;  // descriptors
        uint32_t head = 0;
        uint32_t tail = 0;

        uint32_t next(uint32_t index) const { return index + 1 == size ? 0 : index + 1; }
        // Those that the hardware may use.
        uint32_t available() const { return tail >= head ? tail - head : size - head + tail; }
    };
    // A frame of the transmit ring: its descriptors, and what is to be done with it.
    struct Outgoing {
        uint32_t end = 0;  // behind its last descriptor
        bool complete = false;
        bool wrong = false;  // too long, or not in memory
        bool segmented = false;
        uint8_t options = 0;  // POPTS
        bool has_tag = false;
        uint16_t tag = 0;
        ChecksumPlace legacy_checksum;  // field 0: none
    };
    // Where the parts of a received frame go, of one descriptor.
    struct Buffers {
        std::array<Gpa, 4> address{};
        std::array<uint32_t, 4> size{};
        unsigned count = 0;
    };
    // `waits`: there are not enough descriptors.
    enum class Reception : uint8_t { delivered, dropped, waits };
    using Lengths = std::array<uint16_t, 4>;  // of what went there
    // The longest frame in the smallest buffers.
    static constexpr uint32_t kMostDescriptors = 65;
    // Far more than any driver makes of a frame.
    static constexpr uint32_t kMostTransmitDescriptors = 1024;

    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

    // Registers.
    uint32_t& reg(uint32_t offset) { return registers_[offset / 4]; }
    uint32_t reg(uint32_t offset) const { return registers_[offset / 4]; }
    uint32_t read_register(uint32_t offset);
    void write_register(uint32_t offset, uint32_t value);
    void write_ring_register(uint32_t offset, uint32_t value);
    uint32_t status() const;
    void write_control(uint32_t value);
    void write_mdi(e1000e::MdiControl value);
    void read_nvm(uint32_t value);
    void write_nvm(uint32_t value);
    void reset_registers();
    void count(uint32_t statistic, uint32_t by = 1);
    void count_octets(uint32_t statistic, uint64_t by);
    Ring ring(uint32_t base_register, uint64_t descriptor_size) const;
    void start_network();
    bool link_up() const;

    // Interrupts.
    void raise(uint32_t causes);
    uint32_t read_causes();
    void set_mask(uint32_t mask);
    void update_interrupts();
    void send_messages(uint32_t pending);
    void send_message(unsigned message);

    // e1000e_receive.cpp
    Reception receive(const NetFrame& frame);
    static Reception dropped(Counter& why);
    void raise_received();
    bool is_tagged(std::span<const std::byte> frame) const;
    size_t strip_tag(size_t size);
    size_t finish(size_t size);
    bool takes_size(size_t size);
    bool wanted(std::span<const std::byte> frame, uint16_t tag, bool tagged) const;
    bool address_matches(std::span<const std::byte> frame) const;
    bool multicast_hash_matches(std::span<const std::byte> frame) const;
    bool splits() const;
    uint64_t receive_descriptor_size() const;
    uint32_t receive_buffer_size() const;
    Buffers buffers_of(Gpa descriptor) const;
    size_t fill(const Buffers& buffers, std::span<const std::byte> bytes, Lengths& lengths);
    Reception deliver(std::span<const std::byte> frame, uint8_t status, uint16_t tag);
    void write_back(Gpa descriptor, const Lengths& lengths, uint8_t status, uint16_t tag);
    void count_received(std::span<const std::byte> frame);

    // e1000e_transmit.cpp
    void transmit();
    bool transmit_one();
    Outgoing gather(const Ring& from);
    static void begin_frame(Outgoing& frame, const e1000e::TransmitDescriptor& descriptor);
    void append(Outgoing& frame, const e1000e::TransmitDescriptor& descriptor);
    bool send(const Outgoing& frame);
    bool send_segments(const Outgoing& frame);
    bool send_bytes(std::span<const std::byte> bytes);
    void finish_checksums(const Outgoing& frame);
    void insert_tag(uint16_t tag);
    SegmentationPlan segmentation_plan(const Outgoing& frame) const;
    void complete(const Ring& from, uint32_t end);
    void count_transmitted(std::span<const std::byte> frame);

    Result<void> apply(StateReader& reader);

    // configuration
    const e1000e::Address address_;
    // wiring
    GuestMemory& memory_;
    NetBackend& network_;
    MsiSink& msi_;
    uint16_t msi_capability_ = 0;
    // bookkeeping
    bool started_ = false;
    bool broken_ = false;         // the network could not be started
    bool asserted_ = false;       // an MSI or INTx that no register was read after
    uint32_t messages_sent_ = 0;  // of those that are pending
    std::vector<std::byte> incoming_;
    std::vector<std::byte> outgoing_;
    size_t outgoing_size_ = 0;
    NetStatistics statistics_;
    std::vector<std::byte> segment_;
    // sub-devices
    Msix msix_;
    E1000ePhy phy_;
    // guest-visible state
    std::vector<uint32_t> registers_;
    uint32_t causes_ = 0;
    uint32_t mask_ = 0;
    e1000e::Nvm nvm_{};
    e1000e::TransmitDescriptor context_;
    uint32_t segments_sent_ = 0;
    uint32_t port_address_ = 0;
};

}  // namespace banyan
