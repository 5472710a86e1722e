; Self-modifying code: Intel SDM vol. 3 sections 8.1.3 and 11.6: a write by the same processor to code, through the same
; linear address, is seen by the next jump; on the processors modelled here even by the next instruction.
%include "common.inc"

section .text
test_main:
    call own_stream
    call patched_loop
    call other_page
    call over_page_end
    call copied
    call alias
    call by_string
    ret

; The next instruction is the one that is written.
own_stream:
    mov ecx, 0
    mov byte [.next], 0x41             ; INC ECX
.next:
    nop
    EXPECT_EQ ecx, 1, 'write to the next instruction'
    mov byte [.next], 0x90
    ; An instruction further on in the same block, then one that runs.
    mov ecx, 0
    mov dword [.immediate + 1], 0x1234
    nop
    nop
.immediate:
    mov ecx, 0
    EXPECT_EQ ecx, 0x1234, 'write to an operand further on'
    mov dword [.immediate + 1], 0
    ret

; A loop that changes its own immediate each time: 0 + 1 + ... + 99.
patched_loop:
    mov ecx, 100
    xor ebx, ebx
.again:
    add ebx, strict dword 0
    inc dword [.again + 2]
    loop .again
    EXPECT_EQ ebx, 4950, 'loop that changes itself'
    ret

other_page:
    mov edi, far_code
    mov dword [edi], 0xC301B0          ; MOV AL, 1; RET
    xor eax, eax
    call edi
    EXPECT_EQ eax, 1, 'code that was just written'
    mov ebx, 2
.again:
    mov [edi + 1], bl
    xor eax, eax
    call edi
    mov esi, eax
    EXPECT_EQ esi, ebx, 'code written again and again'
    inc ebx
    cmp ebx, 100
    jb .again
    ; Data beside code.
    mov dword [far_code + 512], 7
    add dword [far_code + 512], 8
    EXPECT_EQ [far_code + 512], 15, 'data in a page of code'
    xor eax, eax
    call edi
    EXPECT_EQ eax, 99, 'code beside written data'
    ret

; MOV EAX, imm32 over a page's end; each byte of it changes.
over_page_end:
    mov edi, far_code + 4096 - 2
    mov dword [edi], 0x001122B8
    mov word [edi + 4], 0xC300
    call edi
    EXPECT_EQ eax, 0x1122, 'instruction over two pages'
    mov byte [edi + 4], 0x44
    call edi
    EXPECT_EQ eax, 0x44001122, 'its byte in the second page'
    mov byte [edi + 1], 0x55
    call edi
    EXPECT_EQ eax, 0x44001155, 'its byte in the first page'
    mov dword [edi + 1], 0x66778899    ; a write over the two
    call edi
    EXPECT_EQ eax, 0x66778899, 'a write over both pages'
    ret

copied:
    mov ebx, 50
.again:
    mov esi, routine
    mov edi, far_code + 8192
    mov ecx, routine_end - routine
    rep movsb
    mov [far_code + 8192 + 1], ebx
    mov edi, far_code + 8192
    call edi
    EXPECT_EQ eax, ebx, 'code copied over code'
    dec ebx
    jnz .again
    ret
routine:
    mov eax, 0
    ret
routine_end:

; The write comes by another linear address of the same page.
alias:
    xor ecx, ecx
    mov eax, 0x83
.page:
    mov [directory + ecx * 4], eax
    add eax, 0x400000
    inc ecx
    cmp ecx, 1024
    jb .page
    mov dword [directory + 4 * (0x10000000 >> 22)], 0x83   ; 0x10000000 is 0
    mov eax, cr4
    or eax, 1 << 4
    mov cr4, eax
    mov eax, directory
    mov cr3, eax
    mov eax, cr0
    or eax, 1 << 31
    mov cr0, eax
    mov edi, far_code
    mov dword [edi], 0xC301B0
    xor eax, eax
    call edi
    mov byte [0x10000000 + far_code + 1], 5
    jmp .jump
.jump:
    cpuid                              ; vol. 3 section 8.1.3: serialise
    xor eax, eax
    mov edi, far_code
    call edi
    EXPECT_EQ eax, 5, 'code written by another address'
    mov edi, far_code + 0x10000000
    xor eax, eax
    call edi
    EXPECT_EQ eax, 5, 'code run at another address'
    mov byte [far_code + 1], 6
    cpuid
    xor eax, eax
    mov edi, far_code + 0x10000000
    call edi
    EXPECT_EQ eax, 6, 'code written at the first address'
    mov eax, cr0
    and eax, ~(1 << 31)
    mov cr0, eax
    ret

; REP STOSB over the code behind it: what follows is what was written.
by_string:
    mov edi, .target
    mov ecx, 4
    mov al, 0x42                       ; INC EDX
    xor edx, edx
    rep stosb
.target:
    nop
    nop
    nop
    nop
    mov ecx, edx
    EXPECT_EQ ecx, 4, 'REP STOSB over the next instructions'
    ret

section .bss
alignb 4096
far_code: resb 3 * 4096
directory: resb 4096
