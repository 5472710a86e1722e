; PAE paging with 4 KiB and 2 MiB pages and NX: Intel SDM vol. 3 section 4.4.
; qemu: TCG reports RSVD without P, and read-modify-write as a read
%include "common.inc"

ENTRY equ 8
WINDOW equ 0x10000000
BIG_WINDOW equ 0x20000000
BIG_FRAME equ 0x02000000
FETCH_ERROR equ 0x10           ; I, since EFER.NXE is set
EFER equ 0xC0000080
EFER_NXE equ 1 << 11
CR4_PAE equ 1 << 5
CR0_PG equ 1 << 31
NX equ 1 << 31                 ; in the high half of an entry
upper_entry equ directory + 8 * (WINDOW >> 21)
big_entry equ directory + 8 * (BIG_WINDOW >> 21)

section .bss
alignb 4096
directory: resb 4096           ; the first GiB: the kernel one to one, the windows
low_table: resb 4096           ; the first 2 MiB
window_table: resb 4096
alignb 32
pointers: resb 32              ; PDPTEs

%include "paging_body.inc"

test_main:
    call set_up
    call paging_tests
    call no_execute
    call reserved_bits
    call pointer_table
    ret

set_up:
    xor ecx, ecx
    mov eax, P + W
.page:
    mov [low_table + ecx * 8], eax
    add eax, 4096
    inc ecx
    cmp ecx, 512
    jb .page
    mov ecx, user_code
    shr ecx, 12
    or dword [low_table + ecx * 8], U
    mov ecx, ring3_stack
    shr ecx, 12
    or dword [low_table + ecx * 8], U
    mov dword [pointers], directory + P
    mov dword [directory], low_table + P + W + U
    mov dword [directory + 8 * (BIG_FRAME >> 21)], BIG_FRAME + P + W + PS
    mov dword [upper_entry], window_table + P + W + U
    mov dword [big_entry], BIG_FRAME + P + W + PS
    mov ecx, EFER
    rdmsr
    or eax, EFER_NXE
    wrmsr
    mov eax, cr4
    or eax, CR4_PAE
    mov cr4, eax
    mov eax, pointers
    mov cr3, eax
    mov eax, cr0
    or eax, CR0_PG + CR0_WP
    mov cr0, eax
    ret

no_execute:
    mov byte [frames], 0xC3
    MAP 0, P + W + U
    mov dword [PTE(0) + 4], NX
    invlpg [PAGE_AT(0)]
    mov ebx, PAGE_AT(0)
    CATCH .data
    call ebx
.data:
    EXPECT_EQ [caught], 14, 'fetch from an NX page'
    EXPECT_EQ [caught_error], P + I_BIT, 'fetch from an NX page (error code)'
    EXPECT_EQ [caught_cr2], PAGE_AT(0), 'fetch from an NX page (CR2)'
    USER_FAULT P + U + I_BIT, PAGE_AT(0), 'user fetch from an NX page', user_fetch
    mov eax, [PAGE_AT(0)]              ; NX forbids neither reading
    mov [PAGE_AT(0)], eax              ; nor writing
    mov dword [PTE(0) + 4], 0
    mov dword [upper_entry + 4], NX
    invlpg [PAGE_AT(0)]
    CATCH .table
    call ebx
.table:
    EXPECT_EQ [caught], 14, 'fetch by an NX table'
    mov dword [upper_entry + 4], 0
    ; Without EFER.NXE the bit is reserved, and a fetch is not reported as one.
    mov dword [PTE(0) + 4], NX
    mov ecx, EFER
    rdmsr
    and eax, ~EFER_NXE
    wrmsr
    mov eax, cr3
    mov cr3, eax
    PAGE_FAULT P + RSVD, PAGE_AT(0), 'NX without EFER.NXE', {mov eax, [PAGE_AT(0)]}
    mov dword [PTE(0) + 4], 0
    mov dword [PTE(0)], 0
    invlpg [PAGE_AT(0)]
    CATCH .fetch
    call ebx
.fetch:
    EXPECT_EQ [caught_error], 0, 'fetch without EFER.NXE and SMEP (error code)'
    mov ecx, EFER
    rdmsr
    or eax, EFER_NXE
    wrmsr
    mov eax, cr3
    mov cr3, eax
    ret

reserved_bits:
    MAP 0, P + W
    mov dword [PTE(0) + 4], 1 << 30    ; bit 62
    invlpg [PAGE_AT(0)]
    PAGE_FAULT P + RSVD, PAGE_AT(0), 'bit 62 of a PTE', {mov eax, [PAGE_AT(0)]}
    mov dword [PTE(0) + 4], 1 << 19    ; bit 51: above the physical addresses of any guest here
    invlpg [PAGE_AT(0)]
    PAGE_FAULT P + RSVD, PAGE_AT(0), 'bit 51 of a PTE', {mov eax, [PAGE_AT(0)]}
    mov dword [PTE(0) + 4], 0
    or dword [big_entry], 1 << 13
    invlpg [BIG_WINDOW]
    PAGE_FAULT P + RSVD + 2, BIG_WINDOW, 'bit 13 of a large page', {mov [BIG_WINDOW], eax}
    and dword [big_entry], ~(1 << 13)
    or dword [big_entry], 1 << 12      ; PAT
    invlpg [BIG_WINDOW]
    mov eax, [BIG_WINDOW]
    ret

; The four PDPTEs are registers: MOV to CR3 loads and checks them (section 4.4.1).
pointer_table:
    PAGE_FAULT 0, 0x40000000, 'second GiB without a PDPTE', {mov eax, [0x40000000]}
    mov dword [pointers + 8], directory + P
    mov eax, cr3
    mov cr3, eax
    EXPECT_EQ [0x40000000 + frames], [frames], 'second GiB as the first'
    mov dword [pointers + 8], 0                ; seen at the next load only
    invlpg [0x40000000 + frames]
    mov eax, [0x40000000 + frames]
    mov dword [pointers + 24], directory + P + W       ; bit 1 is reserved
    mov eax, cr3
    FAULTS 13, 0, 'reserved bit in a PDPTE', {mov cr3, eax}
    mov dword [pointers + 24], 0
    mov eax, cr3
    mov cr3, eax
    PAGE_FAULT 0, 0x40000000, 'second GiB when its PDPTE is gone', {mov eax, [0x40000000]}
    ret
