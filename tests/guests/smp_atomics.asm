; Locked instructions on words that all CPUs share, wherever they lie (Intel SDM vol. 3 section 9.1.2), and locks made of
; them. Across a page all accesses here are locked: docs/status.md says what is not atomic there.
; cpus: 2 4
%include "smp64.inc"

ROUNDS equ 5000

; COUNTER name, code: `code` adds 1 to what RDI points to; it may use RAX, RBX, RDX.
%macro COUNTER 2+
%1:
    mov rdi, [place]
    mov ecx, ROUNDS
%%again:
    %2
    dec ecx
    jnz %%again
    ret
%endmacro
; The same by a loop of LOCK CMPXCHG: accumulator, a temporary.
%macro CMPXCHG_COUNTER 3
%1:
    mov rdi, [place]
    mov ecx, ROUNDS
.again:
    mov %2, [rdi]
.try:
    lea rdx, [rax + 1]
    lock cmpxchg [rdi], %3
    jne .try
    dec ecx
    jnz .again
    ret
%endmacro
COUNTER add8, lock add byte [rdi], 1
COUNTER add16, lock add word [rdi], 1
COUNTER add32, lock add dword [rdi], 1
COUNTER add64, lock add qword [rdi], 1
COUNTER inc16, lock inc word [rdi]
COUNTER inc32, lock inc dword [rdi]
COUNTER inc64, lock inc qword [rdi]
COUNTER sub32, lock sub dword [rdi], -1
%macro XADD_ONE 1
    mov eax, 1
    lock xadd [rdi], %1
%endmacro
COUNTER xadd16, XADD_ONE ax
COUNTER xadd32, XADD_ONE eax
COUNTER xadd64, XADD_ONE rax
CMPXCHG_COUNTER cmpxchg16, ax, dx
CMPXCHG_COUNTER cmpxchg32, eax, edx
CMPXCHG_COUNTER cmpxchg64, rax, rdx

; Each puts in numbers of its own and adds up what it takes out: nothing is lost, nothing is there twice.
%macro EXCHANGER 2
%1:
    mov rdi, [place]
    xor edx, edx                       ; put in less taken out
    mov ecx, ROUNDS
.again:
    lea eax, [rcx + 3]
    imul eax, eax, 0x01000193
    add rdx, rax
    xchg [rdi], %2
    sub rdx, rax
    dec ecx
    jnz .again
    lock add [balance], rdx
    ret
%endmacro
EXCHANGER xchg32, eax
EXCHANGER xchg64, rax

%macro CHECK_ONE 5    ; routine, place, register of the size, mask of the size, name
    mov qword [place], %2
    mov rdi, %2
    mov qword [rdi], 0
    RUN %1
    mov rdi, %2
    xor ebx, ebx
    mov %3, [rdi]
    mov rcx, (CPUS * ROUNDS) & %4
    FAIL_UNLESS e, rbx, rcx, %5
%endmacro
%macro CHECK_EXCHANGER 4    ; routine, place, register, name
    mov qword [place], %2
    mov rdi, %2
    mov qword [rdi], 0
    mov qword [balance], 0
    RUN %1
    mov rdi, %2
    xor ebx, ebx
    mov %3, [rdi]
    FAIL_UNLESS e, rbx, [balance], %4
%endmacro

%macro ALL_AT 2    ; place, where that is
%defstr where %2
    CHECK_ONE add16, %1, bx, 0xFFFF, {'LOCK ADD of 16 bits, ', where}
    CHECK_ONE inc16, %1, bx, 0xFFFF, {'LOCK INC of 16 bits, ', where}
    CHECK_ONE xadd16, %1, bx, 0xFFFF, {'LOCK XADD of 16 bits, ', where}
    CHECK_ONE cmpxchg16, %1, bx, 0xFFFF, {'LOCK CMPXCHG of 16 bits, ', where}
    CHECK_ONE add32, %1, ebx, -1, {'LOCK ADD of 32 bits, ', where}
    CHECK_ONE inc32, %1, ebx, -1, {'LOCK INC of 32 bits, ', where}
    CHECK_ONE sub32, %1, ebx, -1, {'LOCK SUB of 32 bits, ', where}
    CHECK_ONE xadd32, %1, ebx, -1, {'LOCK XADD of 32 bits, ', where}
    CHECK_ONE cmpxchg32, %1, ebx, -1, {'LOCK CMPXCHG of 32 bits, ', where}
    CHECK_ONE add64, %1, rbx, -1, {'LOCK ADD of 64 bits, ', where}
    CHECK_ONE inc64, %1, rbx, -1, {'LOCK INC of 64 bits, ', where}
    CHECK_ONE xadd64, %1, rbx, -1, {'LOCK XADD of 64 bits, ', where}
    CHECK_ONE cmpxchg64, %1, rbx, -1, {'LOCK CMPXCHG of 64 bits, ', where}
    CHECK_EXCHANGER xchg32, %1, ebx, {'XCHG of 32 bits, ', where}
    CHECK_EXCHANGER xchg64, %1, rbx, {'XCHG of 64 bits, ', where}
%endmacro
cpu_main:
    CHECK_ONE add8, words, bl, 0xFF, 'LOCK ADD of 8 bits'
    ALL_AT words, aligned
    ALL_AT words + 3, misaligned
    ALL_AT words + 63, across_a_cache_line
    ALL_AT words + 4095, across_a_page
    call bits_race
    call pairs
    call locks
    ret

; Every bit of the map is set by one of them only, whoever comes first.
BIT_COUNT equ 20000
set_bits:
    xor ecx, ecx
    xor edx, edx
.again:
    lock bts [bit_map], rcx
    adc edx, 0
    inc ecx
    cmp ecx, BIT_COUNT
    jb .again
    lock add [balance], rdx            ; came too late
    xor edx, edx
    mov ecx, BIT_COUNT
.back:
    dec ecx
    lock btc dword [flipped], 7
    jnz .back
    ret
bits_race:
    mov qword [balance], 0
    RUN set_bits
    FAIL_UNLESS e, [balance], (CPUS - 1) * BIT_COUNT, 'bits that LOCK BTS found set'
    FAIL_UNLESS e, [flipped], 0, 'a bit that LOCK BTC flipped an even number of times'
    ret

; Two counters in one CMPXCHG16B.
count_pair:
    mov r8d, ROUNDS
.again:
    mov rax, [pair]
    mov rdx, [pair + 8]
.try:
    lea rbx, [rax + 1]
    lea rcx, [rdx + 3]
    lock cmpxchg16b [pair]
    jne .try
    dec r8d
    jnz .again
    mov r8d, ROUNDS
.narrow:
    mov eax, [narrow_pair]
    mov edx, [narrow_pair + 4]
.try_narrow:
    lea ebx, [rax + 1]
    lea ecx, [rdx + 3]
    lock cmpxchg8b [narrow_pair]
    jne .try_narrow
    dec r8d
    jnz .narrow
    ret
pairs:
    RUN count_pair
    FAIL_UNLESS e, [pair], CPUS * ROUNDS, 'low half of CMPXCHG16B'
    FAIL_UNLESS e, [pair + 8], 3 * CPUS * ROUNDS, 'high half of CMPXCHG16B'
    mov ebx, [narrow_pair]
    FAIL_UNLESS e, rbx, CPUS * ROUNDS, 'low half of CMPXCHG8B'
    mov ebx, [narrow_pair + 4]
    FAIL_UNLESS e, rbx, 3 * CPUS * ROUNDS, 'high half of CMPXCHG8B'
    ret

; Locks guard plain increments of two words on two lines.
%macro GUARDED 0
    inc qword [guarded]
    inc qword [guarded + 64]
%endmacro
under_xchg:
    mov ecx, ROUNDS
.again:
    mov eax, 1
    xchg eax, [spin_lock]
    test eax, eax
    jz .mine
    pause
    jmp .again
.mine:
    GUARDED
    mov dword [spin_lock], 0
    dec ecx
    jnz .again
    ret
under_cmpxchg:
    mov ecx, ROUNDS
    mov edx, 1
.again:
    xor eax, eax
    lock cmpxchg [spin_lock], edx
    je .mine
    pause
    jmp .again
.mine:
    GUARDED
    mov dword [spin_lock], 0
    dec ecx
    jnz .again
    ret
under_bts:
    mov ecx, ROUNDS
.again:
    lock bts dword [spin_lock], 31
    jnc .mine
    pause
    jmp .again
.mine:
    GUARDED
    lock btr dword [spin_lock], 31
    dec ecx
    jnz .again
    ret
; In turn: where the host has fewer CPUs than the guest, each turn may cost a time slice.
TICKETS equ 200
under_tickets:
    mov ecx, TICKETS
.again:
    mov eax, 1
    lock xadd [next_ticket], eax
.wait:
    pause
    cmp [serving], eax
    jne .wait
    GUARDED
    inc dword [serving]
    dec ecx
    jnz .again
    ret
%macro CHECK_LOCK 3
    mov qword [guarded], 0
    mov qword [guarded + 64], 0
    RUN %1
    FAIL_UNLESS e, [guarded], CPUS * %2, %3
    FAIL_UNLESS e, [guarded + 64], CPUS * %2, %3
%endmacro
locks:
    CHECK_LOCK under_xchg, ROUNDS, 'a spin lock by XCHG'
    CHECK_LOCK under_cmpxchg, ROUNDS, 'a spin lock by LOCK CMPXCHG'
    CHECK_LOCK under_bts, ROUNDS, 'a spin lock by LOCK BTS'
    CHECK_LOCK under_tickets, TICKETS, 'a ticket lock'
    ret

section .bss
alignb 4096
words: resb 8192
place: resq 1
alignb 64
balance: resq 1
alignb 64
flipped: resq 1
alignb 64
pair: resq 2
alignb 64
narrow_pair: resq 1
alignb 64
guarded: resb 128
spin_lock: resd 1
alignb 64
next_ticket: resd 1
alignb 64
serving: resd 1
alignb 64
bit_map: resb BIT_COUNT / 8 + 8
