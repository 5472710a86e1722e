; 4-level paging with 4 KiB, 2 MiB and 1 GiB pages, NX and PCIDs: Intel SDM vol. 3 sections 4.5 and 4.10.
; qemu: TCG reports RSVD without P, and read-modify-write as a read
%include "common.inc"
%include "long.inc"

ENTRY equ 8
WINDOW equ 0x10000000
BIG_WINDOW equ 0x20000000
BIG_FRAME equ 0x02000000
FETCH_ERROR equ 0x10
NX equ 1 << 31                 ; in the high half of an entry
CR4_PCIDE equ 1 << 17
HUGE_WINDOW equ 0x40000000     ; 1 GiB
upper_entry equ page_directory + 8 * (WINDOW >> 21)
big_entry equ page_directory + 8 * (BIG_WINDOW >> 21)
huge_entry equ pdpt + 8

section .bss
alignb 4096
low_table: resb 4096           ; the first 2 MiB by small pages
window_table: resb 4096
other_pml4: resb 4096
other_pdpt: resb 4096
other_directory: resb 4096
other_window_table: resb 4096
alignb 16
descriptor: resq 2             ; of INVPCID

section .text
bits 32
test_main:
    pop eax                    ; not going back
    call enter_long
bits 64
    call set_up
    call paging_tests
    call no_execute
    call reserved_bits
    call huge_page
    call non_canonical
    call process_contexts
    PASS64

%include "paging_body.inc"

set_up:
    xor ecx, ecx
    mov eax, P + W
.page:
    mov [low_table + rcx * 8], rax
    add eax, 4096
    inc ecx
    cmp ecx, 512
    jb .page
    mov ecx, user_code
    shr ecx, 12
    or dword [low_table + rcx * 8], U
    mov ecx, ring3_stack
    shr ecx, 12
    or dword [low_table + rcx * 8], U
    or dword [pml4], U
    or dword [pdpt], U
    mov dword [page_directory], low_table + P + W + U
    mov dword [upper_entry], window_table + P + W + U
    mov dword [big_entry], BIG_FRAME + P + W + PS
    mov rax, cr3
    mov cr3, rax
    ret

no_execute:
    mov byte [frames], 0xC3
    MAP 0, P + W + U
    mov dword [PTE(0) + 4], NX
    invlpg [PAGE_AT(0)]
    mov ebx, PAGE_AT(0)
    CATCH .data
    call rbx
.data:
    EXPECT_EQ [caught], 14, 'fetch from an NX page'
    EXPECT_EQ [caught_error], P + I_BIT, 'fetch from an NX page (error code)'
    EXPECT_EQ [caught_cr2], PAGE_AT(0), 'fetch from an NX page (CR2)'
    USER_FAULT P + U + I_BIT, PAGE_AT(0), 'user fetch from an NX page', user_fetch
    mov eax, [PAGE_AT(0)]
    mov [PAGE_AT(0)], eax
    mov dword [PTE(0) + 4], 0
    ; By the entry above, and without EFER.NXE a reserved bit.
    mov dword [upper_entry + 4], NX
    invlpg [PAGE_AT(0)]
    CATCH .table
    call rbx
.table:
    EXPECT_EQ [caught], 14, 'fetch by an NX table'
    mov dword [upper_entry + 4], 0
    mov dword [PTE(0) + 4], NX
    mov ecx, EFER
    rdmsr
    and eax, ~EFER_NXE
    wrmsr
    mov rax, cr3
    mov cr3, rax
    PAGE_FAULT P + RSVD, PAGE_AT(0), 'NX without EFER.NXE', {mov eax, [PAGE_AT(0)]}
    mov dword [PTE(0) + 4], 0
    mov ecx, EFER
    rdmsr
    or eax, EFER_NXE
    wrmsr
    mov rax, cr3
    mov cr3, rax
    ret

reserved_bits:
    MAP 0, P + W
    mov dword [PTE(0) + 4], 1 << 30    ; bit 62 is ignored here, not reserved as with PAE
    invlpg [PAGE_AT(0)]
    mov eax, [PAGE_AT(0)]
    mov dword [PTE(0) + 4], 1 << 19    ; bit 51: above the physical addresses of any guest here
    invlpg [PAGE_AT(0)]
    PAGE_FAULT P + RSVD, PAGE_AT(0), 'bit 51 of a PTE', {mov eax, [PAGE_AT(0)]}
    mov dword [PTE(0) + 4], 0
    or dword [big_entry], 1 << 13
    invlpg [BIG_WINDOW]
    PAGE_FAULT P + RSVD + 2, BIG_WINDOW, 'bit 13 of a 2 MiB page', {mov [BIG_WINDOW], eax}
    and dword [big_entry], ~(1 << 13)
    or dword [big_entry], 1 << 12      ; PAT
    invlpg [BIG_WINDOW]
    mov eax, [BIG_WINDOW]
    ; PS in a PML4E.
    mov dword [pml4 + 8], pdpt + P + W + PS
    mov rbx, 0x8000000000 + PAGE_AT(0)
    CATCH .pml4
    mov eax, [rbx]
.pml4:
    EXPECT_EQ [caught], 14, 'PS in a PML4E'
    EXPECT_EQ [caught_error], P + RSVD, 'PS in a PML4E (error code)'
    EXPECT_EQ64 [caught_cr2], rbx, 'PS in a PML4E (CR2)'
    mov dword [pml4 + 8], pdpt + P + W + U
    invlpg [rbx]
    mov dword [frames], 0x4E7E1
    EXPECT_EQ [rbx], 0x4E7E1, 'the same page by another PML4E'
    mov dword [pml4 + 8], 0
    invlpg [rbx]
    ret

huge_page:
    mov dword [huge_entry], P + W + PS
    mov dword [BIG_FRAME + 0x1238], 0x600D1B16
    EXPECT_EQ [HUGE_WINDOW + BIG_FRAME + 0x1238], 0x600D1B16, 'read of a 1 GiB page'
    mov ecx, [huge_entry]
    and ecx, A + D
    EXPECT_EQ ecx, A, 'accessed 1 GiB page'
    mov dword [HUGE_WINDOW + BIG_FRAME + 0x1238], 1
    mov ecx, [huge_entry]
    and ecx, A + D
    EXPECT_EQ ecx, A + D, 'dirty 1 GiB page'
    mov dword [huge_entry], P + W + PS + (1 << 20)
    invlpg [HUGE_WINDOW + BIG_FRAME]
    PAGE_FAULT P + RSVD, HUGE_WINDOW + BIG_FRAME, 'bit 20 of a 1 GiB page', {mov eax, [HUGE_WINDOW + BIG_FRAME]}
    mov dword [huge_entry], 0
    invlpg [HUGE_WINDOW + BIG_FRAME]
    PAGE_FAULT 0, HUGE_WINDOW + 4, '1 GiB page that is gone', {mov eax, [HUGE_WINDOW + 4]}
    ret

; Addresses that are no 48-bit ones fault before paging: #GP(0), by RSP and RBP #SS(0) (vol. 3 section 6.15).
non_canonical:
    mov rbx, 0x0000800000000000
    FAULTS 13, 0, 'read of a non-canonical address', {mov eax, [rbx]}
    FAULTS 13, 0, 'write to a non-canonical address', {mov [rbx], eax}
    FAULTS 13, 0, 'read into the non-canonical range', {mov eax, [rbx - 2]}
    mov rbp, rbx
    FAULTS 12, 0, 'read of a non-canonical address by RBP', {mov eax, [rbp]}
    mov rsi, 0xFFFF7FFFFFFFFFFF
    FAULTS 13, 0, 'read below the upper half', {mov eax, [rsi]}
    FAULTS 13, 0, 'jump to a non-canonical address', {jmp rbx}
    FAULTS 13, 0, 'CALL of a non-canonical address', {call rbx}
    invlpg [rbx]                       ; not a memory access: no fault
    prefetcht0 [rbx]
    mov rbx, 0xFFFF800000000000
    CATCH .upper_half
    mov eax, [rbx]
.upper_half:
    EXPECT_EQ [caught], 14, 'read of the upper half'
    EXPECT_EQ64 [caught_cr2], rbx, 'CR2 has 64 bits'
    ret

; PCIDs: what was cached for one address space is never used for another; INVPCID.
process_contexts:
    mov eax, 7
    xor ecx, ecx
    cpuid
    bt ebx, 10
    setc cl
    movzx ecx, cl
    EXPECT_EQ ecx, 1, 'CPUID: INVPCID'
    ; A second address space, whose window is mapped to other frames.
    mov dword [other_pml4], other_pdpt + P + W + U
    mov dword [other_pdpt], other_directory + P + W + U
    mov esi, page_directory
    mov edi, other_directory
    mov ecx, 1024
    rep movsd
    mov dword [other_directory + 8 * (WINDOW >> 21)], other_window_table + P + W + U
    mov dword [other_window_table], frames + 4096 + P + W
    MAP 0, P + W
    mov dword [frames], 0x0AAA
    mov dword [frames + 4096], 0x0BBB
    SET_BITS cr4, CR4_PCIDE
    mov ebx, pml4
    mov ebp, other_pml4 + 1
    mov r8, 1 << 63                    ; keeps what is cached for the PCID
    EXPECT_EQ [PAGE_AT(0)], 0x0AAA, 'page of PCID 0'
    mov cr3, rbp
    EXPECT_EQ [PAGE_AT(0)], 0x0BBB, 'page of PCID 1'
    or rbx, r8
    mov cr3, rbx
    EXPECT_EQ [PAGE_AT(0)], 0x0AAA, 'page of PCID 0 again'
    mov rcx, cr3
    EXPECT_EQ64 rcx, pml4, 'bit 63 of CR3 is not kept'
    or rbp, r8
    mov cr3, rbp
    EXPECT_EQ [PAGE_AT(0)], 0x0BBB, 'page of PCID 1 again'
    ; A change to PCID 0's page while PCID 1 runs, then INVPCID for that address (type 0).
    mov dword [PTE(0)], frames + 2 * 4096 + P + W
    mov dword [frames + 2 * 4096], 0x0CCC
    mov qword [descriptor], 0
    mov qword [descriptor + 8], PAGE_AT(0)
    xor ecx, ecx
    invpcid rcx, [descriptor]
    mov cr3, rbx
    EXPECT_EQ [PAGE_AT(0)], 0x0CCC, 'after INVPCID of an address'
    ; Of one PCID (type 1).
    mov cr3, rbp
    mov dword [PTE(0)], frames + P + W
    mov ecx, 1
    invpcid rcx, [descriptor]
    mov cr3, rbx
    EXPECT_EQ [PAGE_AT(0)], 0x0AAA, 'after INVPCID of a PCID'
    ; Of all with global pages (type 2) and without (type 3).
    SET_BITS cr4, CR4_PGE
    mov dword [PTE(0)], frames + P + W + G
    invlpg [PAGE_AT(0)]
    mov eax, [PAGE_AT(0)]
    mov dword [PTE(0)], frames + 2 * 4096 + P + W + G
    mov ecx, 2
    invpcid rcx, [descriptor]
    EXPECT_EQ [PAGE_AT(0)], 0x0CCC, 'a global page after INVPCID of all'
    mov dword [PTE(0)], frames + P + W
    invlpg [PAGE_AT(0)]
    mov eax, [PAGE_AT(0)]
    mov dword [PTE(0)], frames + 2 * 4096 + P + W
    mov ecx, 3
    invpcid rcx, [descriptor]
    EXPECT_EQ [PAGE_AT(0)], 0x0CCC, 'a page after INVPCID of all but global'
    ; What INVPCID and MOV to CR4 refuse.
    mov ecx, 4
    FAULTS 13, 0, 'INVPCID of type 4', {invpcid rcx, [descriptor]}
    mov qword [descriptor], 0x1000
    xor ecx, ecx
    FAULTS 13, 0, 'INVPCID of a PCID with more than 12 bits', {invpcid rcx, [descriptor]}
    mov qword [descriptor], 0
    mov rax, 0x0000800000000000
    mov [descriptor + 8], rax
    FAULTS 13, 0, 'INVPCID of a non-canonical address', {invpcid rcx, [descriptor]}
    CLEAR_BITS cr4, CR4_PCIDE + CR4_PGE
    mov ebp, other_pml4 + 1
    mov cr3, rbp
    mov rcx, cr4
    or rcx, CR4_PCIDE
    FAULTS 13, 0, 'CR4.PCIDE with a PCID in CR3', {mov cr4, rcx}
    mov ebx, pml4
    mov cr3, rbx
    ret
